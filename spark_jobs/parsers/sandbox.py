"""Parsing where it can do no harm: formats that are programs for their readers are read in a process with limits.

The process is started with the first such document, serves many, and ends with the process that started it. One that
takes too long or too much memory is killed, and the next document gets a new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import ParsingSettings
from spark_jobs.parsers.document import Block, Page

_CHILD: Final = "spark_jobs.parsers.sandbox_child"


def read_sandboxed(kind: str, content: bytes, limits: ParsingSettings) -> Page:
    """Return the page that the reader of a kind, `pdf`, `docx` or `parquet`, makes of these bytes.

    Raises BadInputError as the reader does, and for a document that takes more time or memory than allowed.
    """
    child = _running(limits)
    try:
        child.connection.send_bytes(json.dumps({"kind": kind, "limits": limits.model_dump()}).encode())
        child.connection.send_bytes(content)
        if not child.connection.poll(limits.max_seconds):
            raise _over(f"more than {limits.max_seconds:g} s", f"at most {limits.max_seconds:g} (parsing.max_seconds)")
        answer = json.loads(child.connection.recv_bytes())
        if answer.get("memory"):
            # What it took it may never give back.
            raise _over("more memory", f"at most {limits.max_memory_mb} MB (parsing.max_memory_mb)")
    except (EOFError, OSError) as gone:
        _stop(child)
        raise _over("a process that died of it", f"at most {limits.max_memory_mb} MB (parsing.max_memory_mb)") from gone
    except BaseException:
        _stop(child)
        raise
    return _page(answer)


@dataclass(frozen=True)
class _Child:
    """A running process and the way to it; `owner` is the process that started it."""

    process: subprocess.Popen[bytes]
    connection: Connection
    owner: int


_children: dict[int, _Child] = {}


def _running(limits: ParsingSettings) -> _Child:
    """Return this process's child, started when there is none: one that was inherited by a fork is somebody else's."""
    child = _children.get(limits.max_memory_mb)
    if child is None or child.owner != os.getpid() or child.process.poll() is not None:
        child = _start(limits)
        _children[limits.max_memory_mb] = child
    return child


def _start(limits: ParsingSettings) -> _Child:
    ours_to_read, theirs_to_write = os.pipe()
    theirs_to_read, ours_to_write = os.pipe()
    command = [sys.executable, "-m", _CHILD, str(theirs_to_read), str(theirs_to_write), str(limits.max_memory_mb)]
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
    return _Child(process, _Duplex(ours_to_read, ours_to_write), os.getpid())


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


def _stop(child: _Child) -> None:
    # Its number is its own until it is waited for, even when it died by itself.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.process.pid, signal.SIGKILL)
    child.process.wait()
    child.connection.close()
    for key, known in list(_children.items()):
        if known is child:
            del _children[key]


def _page(answer: dict[str, Any]) -> Page:
    if "what" in answer:
        raise BadInputError(answer["what"], got=answer["got"], wanted=answer["wanted"])
    blocks = [Block(*block) for block in answer["blocks"]]
    return Page(blocks, answer["title"], answer["language"])


def _over(got: str, wanted: str) -> BadInputError:
    return BadInputError("the item takes too much to read", got=got, wanted=wanted)
