"""One at a time, among all processes of this machine: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock file, made when needed, for the length of a block; `on_wait` is called before waiting for another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Opened to append, so that taking the lock changes nothing on disk.
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def exclusive_or_not(path: Path) -> Iterator[bool]:
    """Hold a lock file for the length of a block if nobody else does, and tell whether it is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
