from __future__ import annotations

from pathlib import Path

import pytest
from feast.infra.online_stores.redis import RedisOnlineStore

from ragstone.runtime.errors import ConfigError
from ragstone.runtime.redis_address import RedisAddress, Sentinels, parse_redis_url


@pytest.mark.parametrize(
    "address",
    [
        RedisAddress("127.0.0.1", 6379),
        RedisAddress("redis.example", 7000, password="p@ss/word:1"),
        RedisAddress("redis.example", 7000, username="app", password="x", database=3, tls=True),
        RedisAddress("::1", 7000, password="x"),
        RedisAddress("a", 1, "app", "p@s,s/", 2, sentinels=Sentinels((("a", 1), ("::1", 2)), "main")),
        RedisAddress("a", 1, "app", tls=True, sentinels=Sentinels((("a", 1),), "main")),
    ],
)
def test_an_address_survives_its_url(address: RedisAddress):
    assert parse_redis_url(address.url) == address


def test_what_a_url_leaves_out_has_a_default():
    assert parse_redis_url("redis://cache") == RedisAddress("cache", 6379)
    assert parse_redis_url("redis+sentinel://a,b/main").nodes == (("a", 26379), ("b", 26379))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cache:6379",
        "http://cache:6379",
        "redis://cache:x",
        "redis://:s3cret@/0",
        "redis://h/x",
        "redis+sentinel://:s3cret@a:1,b:2",
        "redis+sentinel://:s3cret@a:1,,b:2/main",
        "redis+sentinel://:s3cret@a:x/main",
    ],
)
def test_what_is_no_address_is_refused_without_showing_a_password(url: str):
    with pytest.raises(ConfigError) as refused:
        parse_redis_url(url)

    assert "s3cret" not in str(refused.value)


def test_a_cluster_is_refused_with_the_reason():
    with pytest.raises(ConfigError, match="Redis Cluster is not supported") as refused:
        parse_redis_url("redis+cluster://:s3cret@a:1,b:2")

    assert "one transaction" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("password", ["plain", "12345", "1e5", "true", '{"a":1}', "a=b"])
def test_feast_reads_from_its_connection_string_what_we_mean(password: str):
    address = RedisAddress("127.0.0.1", 7000, username="app", password=password, database=2, tls=True)

    nodes, options = RedisOnlineStore._parse_connection_string(address.feast_connection_string)

    assert nodes == [{"host": "127.0.0.1", "port": "7000"}]
    assert options == {"db": 2, "username": "app", "password": password, "ssl": True}


def test_feast_is_told_the_sentinels_and_the_certificates():
    sentinels = Sentinels((("a", 1), ("b", 2)), "main")
    address = RedisAddress("a", 1, tls=True, ca_file=Path("/etc/ca.pem"), sentinels=sentinels)

    nodes, options = RedisOnlineStore._parse_connection_string(address.feast_connection_string)

    assert (nodes, address.feast_redis_type) == (
        [{"host": "a", "port": "1"}, {"host": "b", "port": "2"}],
        "redis_sentinel",
    )
    assert options == {"db": 0, "ssl": True, "ssl_ca_certs": "/etc/ca.pem"}


def test_a_password_that_feast_would_cut_is_refused():
    with pytest.raises(ConfigError, match="Feast"):
        _ = RedisAddress("127.0.0.1", 7000, password="a,b").feast_connection_string


def test_neither_form_for_people_shows_the_password():
    address = RedisAddress("127.0.0.1", 7000, password="s3cret")

    assert "s3cret" not in repr(address) + str(address)
