"""The process behind record files: reads one file after the other, and ends when nobody asks any more.

A file is answered by messages of `items`, several rows each, and a last one that says that it is `done`, that it is
refused, or that `memory` ran out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from ragstone.runtime.errors import RagstoneError
from ragstone.runtime.source_settings import RecordColumns
from spark_jobs.parsers.child_process import limit_own_memory, limit_own_time
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.record_rows import row_items

_ROWS_PER_MESSAGE: Final = 1_000
_CHARACTERS_PER_MESSAGE: Final = 1_000_000
_LONGEST_FACT: Final = 1_000


def answers(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages that answer a request for one file."""
    try:
        rows = row_items(
            Path(request["path"]),
            request["kind"],
            RecordColumns(**request["columns"]),
            request["max_item_bytes"],
            request["limits"]["max_unpacked_bytes"],
        )
        yield from ({"items": batch} for batch in _batches(rows))
        yield {"done": True}
    except (MemoryError, SystemError):
        # Libraries in C that are refused memory often fail without an exception, which Python calls a SystemError.
        yield {"memory": True}
    except RagstoneError as refused:
        yield {"refusal": _refusal(refused)}
    except Exception as fault:  # noqa: BLE001 -- whatever a reader stumbles over is said of the one file
        got = f"{type(fault).__name__}: {fault}"[:_LONGEST_FACT]
        yield {"refusal": ["the file cannot be read", got, "a whole file of records"]}


def _batches(rows: Iterator[SourceItem]) -> Iterator[list[list[Any]]]:
    batch: list[list[Any]] = []
    size = 0
    try:
        for row in rows:
            batch.append(_told(row))
            size += len(row.content or b"") + sum(map(len, row.metadata.values()))
            if len(batch) >= _ROWS_PER_MESSAGE or size >= _CHARACTERS_PER_MESSAGE:
                yield batch
                batch, size = [], 0
    except RagstoneError:
        # The rows before a fault are good.
        yield batch
        raise
    yield batch


def _told(row: SourceItem) -> list[Any]:
    return [
        row.source_uri,
        row.modified_at.isoformat() if row.modified_at else None,
        None if row.content is None else row.content.decode(),
        row.mime_type,
        dict(row.metadata),
        None if row.refusal is None else _refusal(row.refusal),
    ]


def _refusal(refused: RagstoneError) -> list[str]:
    return [str(fact)[:_LONGEST_FACT] for fact in (refused.what, refused.got, refused.wanted)]


def main(incoming: int, outgoing: int, max_memory_mb: int) -> None:
    """Answer until the other side is gone."""
    limit_own_memory(max_memory_mb)
    requests, replies = Connection(incoming, writable=False), Connection(outgoing, readable=False)
    while True:
        try:
            request = json.loads(requests.recv_bytes())
            seconds = request["limits"]["max_seconds"]
            limit_own_time(seconds)
            for answer in answers(request):
                replies.send_bytes(json.dumps(answer).encode())
                limit_own_time(seconds)
        except (EOFError, BrokenPipeError):
            return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
