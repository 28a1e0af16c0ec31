"""The shipped environments on real servers: a PostgreSQL registry, Redis with TLS and users, and a sentinel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from ragstone.contracts import names
from ragstone.features import materialize
from ragstone.features.online import OnlineReader
from ragstone.features.store import open_store
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.redis_server import check_redis, online_client
from ragstone.runtime.settings import Settings, load_settings
from tests.factories import make_envelope
from tests.ragstone.features.lake import DEAD, GUIDE, KEPT, write_history
from tests.servers import postgres
from tests.servers import redis as servers
from tests.servers.certificates import Certificates, make_certificates

_SECRET: Final = "p@ss word/1"
# What docs/features.md tells to allow, and what a sentinel needs.
_USERS: Final = f"""
user default off
user ragstone on ">{_SECRET}" ~ragstone:* ~*ragstone ~*ragstone_test +@all -@dangerous
user sentinel on >watcher ~* &* +@all
"""


@dataclass(frozen=True)
class Servers:
    """Where the servers of an environment are, and what its settings must name to reach them."""

    registry: str
    redis_port: int
    sentinel_port: int
    certificates: Certificates


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    program, programs = servers.tls_program(), postgres.binaries()
    if program is None or programs is None:
        pytest.skip("LEFT OUT: there is no Redis with TLS, or no PostgreSQL, on this machine; `.ci/run` fetches both")
    folder = tmp_path_factory.mktemp("servers")
    made, port, sentinel_port = make_certificates(folder), servers.free_port(), servers.free_port()
    tls = f"tls-cert-file {made.certificate}\ntls-key-file {made.key}\ntls-ca-cert-file {made.authority}\n"
    redis_conf = f"port 0\ntls-port {port}\ntls-auth-clients no\n{tls}{_USERS}"
    sentinel_conf = (
        f"port {sentinel_port}\ntls-replication yes\n{tls}sentinel monitor ragstone 127.0.0.1 {port} 1\n"
        "sentinel auth-user ragstone sentinel\nsentinel auth-pass ragstone watcher\n"
    )
    with (
        postgres.server(programs) as registry,
        servers.server(program, folder / "redis", redis_conf),
        servers.server(program, folder / "sentinel", sentinel_conf, "--sentinel"),
    ):
        authority = str(made.authority)
        servers.wait_until_up(
            redis.Redis("127.0.0.1", port, ssl=True, ssl_ca_certs=authority, username="sentinel", password="watcher")
        )
        servers.wait_until_up(redis.Redis("127.0.0.1", sentinel_port))
        yield Servers(registry, port, sentinel_port, made)


def in_environment(env: str, home: Path, running: Servers, **replaced: str) -> Settings:
    """Return the settings of a shipped environment, with the hosts and files of its yaml replaced by the test's."""
    conf = home.parent / "conf"
    conf.mkdir(exist_ok=True)
    secret = home.parent / "secret"
    secret.write_text(replaced.pop("secret", _SECRET))
    shipped = Path(__file__).resolve().parents[3] / "conf"
    text = (shipped / f"{env}.yaml").read_text()
    places = {
        "redis-1.example:26379,redis-2.example:26379,redis-3.example:26379": f"127.0.0.1:{running.sentinel_port}",
        "redis.example:6379": f"127.0.0.1:{running.redis_port}",
        "/run/secrets/redis": str(secret),
        **{line.split(": ", 1)[1]: running.registry for line in text.splitlines() if "registry: " in line},
        "ca_file: /etc/ragstone/ca.pem": f"ca_file: {running.certificates.authority}",
        **replaced,
    }
    for was, becomes in places.items():
        text = text.replace(was, becomes)
    (conf / f"{env}.yaml").write_text(text)
    return load_settings(home=home, env=env, conf=conf)


@pytest.mark.parametrize(("env", "kind"), [("test", "redis"), ("prod", "redis_sentinel")])
def test_features_are_applied_materialized_and_read_by_us_and_by_feast(
    home: Path, running: Servers, env: str, kind: str
) -> None:
    settings = in_environment(env, home, running)
    LandingZone(settings.landing_root).append_batch([make_envelope("guide.md"), make_envelope("notes.md")])
    write_history(settings)

    first, again = materialize.run(settings, "run-1"), materialize.run(settings, "run-2")
    with closing(OnlineReader(settings)) as reader:
        (kept, dead), (guide,) = reader.read([KEPT["chunk_id"], DEAD["chunk_id"]], [GUIDE])
    store: Any = open_store(settings)
    told = store.get_online_features(
        store.get_feature_service(names.CHAT_SERVICE),
        [{"chunk_id": KEPT["chunk_id"], "document_id": GUIDE}],
    ).to_dict()

    assert store.config.online_store.redis_type == kind
    assert (first.status, again.status) == ("ok", "unchanged")
    assert kept is not None
    assert dead is None
    assert guide is not None
    assert (told["text"], told["ordinal"], told["acl"]) == ([kept.text], [kept.ordinal], [list(guide.acl)])
    assert not (settings.home / "registry").exists()


def test_the_service_user_writes_what_it_keeps_and_may_not_destroy(home: Path, running: Servers) -> None:
    settings = in_environment("test", home, running)
    with online_client(settings) as client:
        with client.pipeline(transaction=True) as commands:
            commands.rpush("ragstone:session:1", "turn")
            commands.eval("return redis.call('XADD', KEYS[1], '*', 'a', 'b')", 1, names.RETRIEVAL_STREAM)
            assert len(commands.execute()) == 2
        for refused in (("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("GET", "another:key")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.execute_command(*refused)


def test_whoever_is_not_the_user_or_the_server_is_refused(home: Path, running: Servers) -> None:
    other = make_certificates(home.parent / "other")
    for replaced in (
        {"secret": "wrong"},
        {"ca_file: /etc/ragstone/ca.pem": f"ca_file: {other.authority}"},
        {"rediss://": "redis://", "ca_file: /etc/ragstone/ca.pem": ""},
        {"ragstone@127": "nobody@127"},
    ):
        with pytest.raises(DependencyUnavailableError):
            check_redis(in_environment("test", home, running, **replaced))
    assert check_redis(in_environment("test", home, running)).tls


def test_a_secret_file_that_is_missing_is_named(home: Path, running: Servers) -> None:
    settings = in_environment("test", home, running)
    (home.parent / "secret").unlink()

    with pytest.raises(ConfigError, match="secret") as refused:
        check_redis(settings)
    assert "secret" in str(refused.value.where)


def test_no_secret_of_an_environment_is_in_what_settings_print(home: Path, running: Servers) -> None:
    settings = in_environment("test", home, running, **{"rediss://ragstone@": "rediss://ragstone:s3cret@"})

    assert "s3cret" not in f"{settings!r}{settings.model_dump_json()}"
    assert running.registry not in f"{settings!r}{settings.model_dump_json()}"
