"""The process behind the sandbox: reads one document after the other, and ends when nobody sends any more."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any, Final

from ragstone.runtime.errors import RagstoneError
from spark_jobs.parsers.child_process import limit_own_memory, limit_own_time
from spark_jobs.parsers.document import Page
from spark_jobs.parsers.docx import read_docx
from spark_jobs.parsers.parquet import read_parquet
from spark_jobs.parsers.pdf import read_pdf

_READERS: Final[Mapping[str, Callable[[bytes, int], Page]]] = {
    "docx": read_docx,
    "parquet": read_parquet,
    "pdf": lambda content, _most: read_pdf(content),
}


def read(kind: str, content: bytes, limits: Mapping[str, Any]) -> Page:
    """Return the page that the reader of a kind makes of these bytes."""
    return _READERS[kind](content, limits["max_unpacked_bytes"])


def answer(request: Mapping[str, Any], content: bytes) -> dict[str, Any]:
    """Return a page, or the refusal of a document, as it is sent back."""
    try:
        page = read(request["kind"], content, request["limits"])
        blocks = [(block.text, block.level, block.keeps_lines) for block in page.blocks]
    except (MemoryError, SystemError):
        # Libraries in C that are refused memory often fail without an exception, which Python calls a SystemError.
        return {"memory": True}
    except RagstoneError as refused:
        return {"what": refused.what, "got": str(refused.got), "wanted": str(refused.wanted)}
    except Exception as fault:  # noqa: BLE001 -- whatever a reader stumbles over is said of the one document
        return {"what": "the parser failed", "got": f"{type(fault).__name__}: {fault}", "wanted": "a whole document"}
    return {"blocks": blocks, "title": page.title, "language": page.language}


def main(incoming: int, outgoing: int, max_memory_mb: int) -> None:
    """Answer until the other side is gone."""
    limit_own_memory(max_memory_mb)
    requests, answers = Connection(incoming, writable=False), Connection(outgoing, readable=False)
    while True:
        try:
            request = json.loads(requests.recv_bytes())
            content = requests.recv_bytes()
        except EOFError:
            return
        limit_own_time(request["limits"]["max_seconds"])
        try:
            answers.send_bytes(json.dumps(answer(request, content)).encode())
        except BrokenPipeError:
            return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
