"""What Redis has stored, byte by byte.

Its files are loaded by a second server on a copy; a server that is not ours is asked itself.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.redis_server import online_client, server_binary
from ragstone.runtime.settings import Settings

_TIMEOUT_S: Final = 30.0
_SCAN_COUNT: Final = 1_000
_AOF_FOLDER: Final = "appendonlydir"
_MANIFEST_SUFFIX: Final = ".manifest"
_POLL_S: Final = 0.02


def stored_values(settings: Settings) -> Iterator[tuple[bytes, bytes]]:
    """Yield every key with its stored bytes, what was deleted but is still in them included.

    Of a configured server keys and values come as it stores them too, but compressed where it compresses them.
    """
    if settings.redis.url is not None:
        with online_client(settings) as client:
            yield from _dumped(client)
    elif (settings.home / "redis" / _AOF_FOLDER).is_dir():
        with _server_on_copy(settings.home / "redis") as client:
            yield from _dumped(client)


def unloaded_files(settings: Settings) -> list[Path]:
    """Return the files in the home server's folder that it would not load, such as what a rewrite that died left.

    Those it is about to remove are waited for.
    """
    folder = settings.home / "redis" / _AOF_FOLDER
    give_up = time.monotonic() + _TIMEOUT_S
    while True:
        named = _named_files(folder)
        if "h" not in named.values() or time.monotonic() > give_up:
            break
        time.sleep(_POLL_S)
    loaded = {name for name, kind in named.items() if kind != "h"}
    return [path for path in sorted(folder.glob("*")) if path.name not in loaded and path.suffix != _MANIFEST_SUFFIX]


def _named_files(folder: Path) -> dict[str, str]:
    """Return the kind of each file that the manifest names: b for base, i for increment, h for history."""
    lines = [line.split() for path in folder.glob(f"*{_MANIFEST_SUFFIX}") for line in path.read_text().splitlines()]
    return {words[1]: words[words.index("type") + 1] for words in lines if "type" in words}


def _dumped(client: Any) -> Iterator[tuple[bytes, bytes]]:
    for key in client.scan_iter(count=_SCAN_COUNT):
        value = client.dump(key)
        if value is not None:
            yield key, value


@contextmanager
def _server_on_copy(folder: Path) -> Iterator[redis.Redis]:
    # A socket's path may be no longer than some hundred characters, which a home's often is.
    with tempfile.TemporaryDirectory(prefix="rs-") as scratch:
        shutil.copytree(folder / _AOF_FOLDER, Path(scratch) / _AOF_FOLDER)
        socket = Path(scratch) / "s"
        options = {
            "--dir": scratch,
            "--port": "0",
            "--unixsocket": str(socket),
            "--appendonly": "yes",
            "--aof-load-truncated": "yes",
            "--save": "",
            # Uncompressed, so that what is stored can be read as text.
            "--rdbcompression": "no",
        }
        command = [server_binary(), *(part for pair in options.items() for part in pair)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield _connected(server, socket, folder)
        finally:
            with suppress(ProcessLookupError):
                server.kill()
            server.wait()


def _connected(server: subprocess.Popen[bytes], socket: Path, folder: Path) -> redis.Redis:
    client = redis.Redis(
        unix_socket_path=str(socket),
        socket_timeout=_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.01), retries=200),
        retry_on_error=[redis.ConnectionError, redis.BusyLoadingError, FileNotFoundError],
    )
    try:
        client.ping()
    except (redis.RedisError, OSError) as failed:
        raise DependencyUnavailableError(
            "Redis's files could not be loaded by a second server",
            where=str(folder),
            got=f"{type(failed).__name__}: {failed}; the server's exit code is {server.poll()}",
            next_step="ragstone doctor",
        ) from failed
    return client
