from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.redis_server import check_redis, online_client, redis_address, stop_redis
from ragstone.runtime.settings import Settings, load_settings


def recorded(settings: Settings) -> dict[str, object]:
    record: dict[str, object] = json.loads((settings.home / "redis" / "server.json").read_text("utf-8"))
    return record


def signalled(settings: Settings, number: signal.Signals) -> None:
    os.kill(int(str(recorded(settings)["pid"])), number)


def test_the_first_to_need_it_starts_it_and_the_next_finds_it(settings: Settings):
    first, second = redis_address(settings), redis_address(settings)

    assert first == second == check_redis(settings)
    assert (recorded(settings)["host"], recorded(settings)["port"]) == (first.host, first.port)


def test_many_at_once_start_one(settings: Settings):
    with ThreadPoolExecutor(8) as pool:
        addresses = set(pool.map(lambda _: redis_address(settings), range(16)))

    assert len(addresses) == 1


def test_other_processes_find_the_same_server(settings: Settings):
    script = (
        "import sys, pathlib; from ragstone.runtime.settings import load_settings\n"
        "from ragstone.runtime.redis_server import redis_address\n"
        "print(redis_address(load_settings(home=pathlib.Path(sys.argv[1]))))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script, str(settings.home)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]

    printed = {process.communicate()[0].strip() for process in started}

    assert printed == {str(redis_address(settings))}


def test_it_listens_on_loopback_and_wants_the_password_of_the_home(settings: Settings):
    address = redis_address(settings)

    without_retries = Retry(NoBackoff(), 0)
    with (
        redis.Redis(address.host, address.port, retry=without_retries) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.get("key")
    with online_client(settings) as client:
        assert client.config_get("bind") == {"bind": "127.0.0.1"}
    for name in ("server.json", "redis.conf"):
        assert stat.S_IMODE((settings.home / "redis" / name).stat().st_mode) == 0o600


def test_what_was_written_survives_a_stop(settings: Settings):
    with online_client(settings) as client:
        client.set("key", "value")

    assert stop_redis(settings) is True
    assert not (settings.home / "redis" / "server.json").exists()
    with online_client(settings) as client:
        assert client.get("key") == b"value"


def test_stopping_what_does_not_run_is_no_error(settings: Settings):
    assert stop_redis(settings) is False

    redis_address(settings)
    assert [stop_redis(settings), stop_redis(settings)] == [True, False]


def test_a_killed_server_is_started_again_where_it_was_with_its_data(settings: Settings):
    address = redis_address(settings)
    with online_client(settings) as client:
        client.set("key", "value")
        signalled(settings, signal.SIGKILL)

    again = redis_address(settings)

    assert (again.host, again.port) == (address.host, address.port)
    with online_client(settings) as client:
        assert client.get("key") == b"value"


def port_found_beside(settings: Settings, other: socket.socket) -> int:
    """The port of the home's server while another program, which closes every connection, holds the old one."""
    other.settimeout(0.05)
    done = threading.Event()

    def hang_up() -> None:
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                other.accept()[0].close()

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        return redis_address(settings).port
    finally:
        done.set()
        thread.join()


def test_a_taken_port_is_not_fought_over(settings: Settings):
    port = redis_address(settings).port
    stopped = recorded(settings)
    stop_redis(settings)
    (settings.home / "redis" / "server.json").write_text(json.dumps(stopped))

    with socket.create_server(("127.0.0.1", port)) as other:
        again = port_found_beside(settings, other)

    assert again != port


def test_a_hanging_server_is_told_of_and_can_be_stopped(settings: Settings):
    redis_address(settings)
    signalled(settings, signal.SIGSTOP)

    with pytest.raises(DependencyUnavailableError, match="does not answer") as refused:
        redis_address(settings)

    assert "ragstone stop" in str(refused.value.next_step)
    assert stop_redis(settings) is True


def test_calls_to_a_hanging_server_end_at_the_deadline_without_retries(home: Path):
    settings = load_settings(home=home, redis={"deadline_ms": 200})
    with online_client(settings) as client:
        client.ping()
        before = client.info("stats")["total_commands_processed"]
        signalled(settings, signal.SIGSTOP)

        with pytest.raises(redis.TimeoutError):
            client.get("key")

        signalled(settings, signal.SIGCONT)
        sent = client.info("commandstats")["cmdstat_get"]["calls"]
    assert (before > 0, sent) == (True, 1)


def test_certificates_without_encryption_are_refused(home: Path):
    settings = load_settings(home=home, redis={"url": "redis://127.0.0.1:1/0", "ca_file": "/etc/ca.pem"})

    with pytest.raises(ConfigError, match="would not be encrypted"):
        redis_address(settings)


def test_a_configured_server_is_used_and_not_started(home: Path):
    settings = load_settings(home=home, redis={"url": "redis://127.0.0.1:1/0"})

    assert redis_address(settings).port == 1
    with pytest.raises(DependencyUnavailableError, match="is not there") as refused:
        check_redis(settings)
    assert refused.value.where == "127.0.0.1:1/0"
    assert stop_redis(settings) is False
    assert not (home / "redis").exists()


def test_a_server_that_cannot_start_says_why(settings: Settings):
    redis_address(settings)
    stop_redis(settings)
    broken = next((settings.home / "redis").rglob("*.incr.aof"))
    broken.write_bytes(b"nonsense that is no log of commands")

    with pytest.raises(DependencyUnavailableError, match="did not start") as refused:
        redis_address(settings)

    assert "Bad file format" in str(refused.value.got)
    assert "redis.log" in str(refused.value.next_step)
