"""Sentinels decide which server is the master, and clients follow; a server, a replica and a sentinel of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.redis_server import check_redis, online_client
from ragstone.runtime.settings import Settings, load_settings
from tests.servers import redis as servers


@pytest.fixture
def watched(home: Path, tmp_path: Path) -> Iterator[tuple[Settings, redis.Redis, list[int]]]:
    program, ports = servers.plain_program(), [servers.free_port(), servers.free_port()]
    sentinel_port = servers.free_port()
    conf = f"port {sentinel_port}\nsentinel monitor main 127.0.0.1 {ports[0]} 1\n"
    conf += "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
    with (
        servers.server(program, tmp_path / "first", f"port {ports[0]}\n"),
        servers.server(program, tmp_path / "second", f"port {ports[1]}\nreplicaof 127.0.0.1 {ports[0]}\n"),
        servers.server(program, tmp_path / "sentinel", conf, "--sentinel"),
    ):
        asked = redis.Redis("127.0.0.1", sentinel_port)
        for client in (*(redis.Redis("127.0.0.1", port) for port in ports), asked):
            servers.wait_until_up(client)
        settings = load_settings(home=home, redis={"url": f"redis+sentinel://127.0.0.1:{sentinel_port}/main"})
        yield settings, asked, ports


@pytest.mark.full
def test_a_client_that_is_open_follows_the_master_to_another_server(
    watched: tuple[Settings, redis.Redis, list[int]],
) -> None:
    settings, sentinel, ports = watched
    check_redis(settings)
    with online_client(settings) as client:
        client.set("key", "before")
        assert _port_of(client) == ports[0]
        _told(sentinel)

        servers.wait_until(lambda: _port_of(client) == ports[1])
        client.set("key", "after")

    assert redis.Redis("127.0.0.1", ports[1]).get("key") == b"after"


def test_a_master_that_sentinels_do_not_know_is_unavailable(
    watched: tuple[Settings, redis.Redis, list[int]],
) -> None:
    settings, _, _ = watched
    url = settings.redis.url.get_secret_value() if settings.redis.url else ""
    unknown = load_settings(home=settings.home, redis={"url": url.replace("/main", "/other")})

    with pytest.raises(DependencyUnavailableError, match="is not there"):
        check_redis(unknown)


def _told(sentinel: redis.Redis) -> None:
    """Have the sentinel fail over, once it has found the replica."""

    def ordered() -> bool:
        sentinel.execute_command("SENTINEL", "FAILOVER", "main")
        return True

    servers.wait_until(ordered)


def _port_of(client: redis.Redis) -> int:
    told = client.info("server")
    assert isinstance(told, dict)
    return int(told["tcp_port"])
