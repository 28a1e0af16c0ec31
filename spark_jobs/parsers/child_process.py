"""Processes of our own that read what others wrote: started with a way to talk to them, stopped with all they started.

Each limits its own memory and, as a backstop for an owner that was killed, its own time.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any


@dataclass(frozen=True)
class Child:
    """A running process and the way to it; `owner` is the process that started it."""

    process: subprocess.Popen[bytes]
    connection: Connection
    owner: int


def start_child(module: str, max_memory_mb: int) -> Child:
    """Start a module whose arguments are two file descriptors, to read and to write, and its memory in MB."""
    ours_to_read, theirs_to_write = os.pipe()
    theirs_to_read, ours_to_write = os.pipe()
    command = [sys.executable, "-m", module, str(theirs_to_read), str(theirs_to_write), str(max_memory_mb)]
    # Where our code came in an archive, only this process knows where that is.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    process = subprocess.Popen(
        command,
        pass_fds=(theirs_to_read, theirs_to_write),
        env=environment,
        stdin=subprocess.DEVNULL,
        # A group of its own, so that a program it has started is stopped with it.
        start_new_session=True,
    )
    os.close(theirs_to_read)
    os.close(theirs_to_write)
    return Child(process, _Duplex(ours_to_read, ours_to_write), os.getpid())


def stop_child(child: Child) -> None:
    """Kill a process and what it has started, and wait for it."""
    # Its number is its own until it is waited for, even when it died by itself.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()
    child.connection.close()


def limit_own_memory(max_memory_mb: int) -> None:
    """Give this process no more address space than that."""
    limit = max_memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def limit_own_time(seconds: float) -> None:
    """End this process when it computes for longer than that from now: nobody else may be there to stop it."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(spent.ru_utime + spent.ru_stime + seconds) + 2
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


class _Duplex(Connection):
    """Two pipes as one connection."""

    def __init__(self, read: int, write: int) -> None:
        super().__init__(read, writable=False)
        self._out = Connection(write, readable=False)

    def send_bytes(self, *arguments: Any) -> None:
        self._out.send_bytes(*arguments)

    def close(self) -> None:
        super().close()
        self._out.close()
