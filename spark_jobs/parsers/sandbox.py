"""Parsing where it can do no harm: formats that are programs for their readers are read in a process with limits.

The process is started with the first such document, serves many, and ends with the process that started it. One that
takes too long or too much memory is killed, and the next document gets a new one.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import ParsingSettings
from spark_jobs.parsers.child_process import Child, start_child, stop_child
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


_children: dict[int, Child] = {}


def _running(limits: ParsingSettings) -> Child:
    """Return this process's child, started when there is none: one that was inherited by a fork is somebody else's."""
    child = _children.get(limits.max_memory_mb)
    if child is None or child.owner != os.getpid() or child.process.poll() is not None:
        child = start_child(_CHILD, limits.max_memory_mb)
        _children[limits.max_memory_mb] = child
    return child


def _stop(child: Child) -> None:
    stop_child(child)
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
