"""Files whose rows are documents: csv, jsonl and parquet, read in a process with limits on memory, time and size."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import ParsingSettings
from ragstone.runtime.source_settings import RecordColumns
from spark_jobs.parsers.child_process import Child, start_child, stop_child
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.mime import CSV, JSONL, PARQUET, mime_type

_CHILD: Final = "spark_jobs.sources.record_child"
_PARQUET_MARK: Final = b"PAR1"
_NEXT: Final = "mend or split the file, or raise the limit; rows that were taken in before stay"


def holds_records(path: Path) -> bool:
    """Return whether a regular file is one whose rows can be documents."""
    return path.is_file() and _kind(path) in (CSV, JSONL, PARQUET)


class RecordReader:
    """Reads files of records, one after the other, in one process that starts with the first and ends with `with`.

    Rows come as they are read. The next ones must come within `limits.max_seconds`; a process that takes longer or more
    memory is killed, and the next file gets a new one.
    """

    def __init__(self, columns: RecordColumns, max_item_bytes: int, limits: ParsingSettings) -> None:
        self._columns = columns
        self._max_item_bytes = max_item_bytes
        self._limits = limits
        self._child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def items(self, file: SourceItem) -> Iterator[SourceItem]:
        """Yield an item for each row of a file, in its order; a bad row is an item with its refusal.

        Raises BadInputError when the file cannot be read, or no further, or takes more than allowed.
        """
        is_whole = False
        try:
            child = self._running()
            child.connection.send_bytes(json.dumps(self._request(file)).encode())
            while "items" in (answer := self._answer(child, file)):
                yield from (_item(file, *row) for row in answer["items"])
            if answer.get("memory"):
                raise self._over(file, "more memory", f"{self._limits.max_memory_mb} MB (parsing.max_memory_mb)")
            is_whole = True
        except (EOFError, OSError) as gone:
            wanted = f"{self._limits.max_memory_mb} MB (parsing.max_memory_mb)"
            raise self._over(file, "a process that died of it", wanted) from gone
        finally:
            # Half an answer would be taken for the next file's.
            if not is_whole:
                self._stop()
        if "refusal" in answer:
            raise _refusal(answer["refusal"], file)

    def _request(self, file: SourceItem) -> dict[str, Any]:
        return {
            "path": file.locator,
            "kind": _kind(Path(file.locator)),
            "columns": self._columns.model_dump(),
            "max_item_bytes": self._max_item_bytes,
            "limits": self._limits.model_dump(),
        }

    def _answer(self, child: Child, file: SourceItem) -> dict[str, Any]:
        seconds = self._limits.max_seconds
        if not child.connection.poll(seconds):
            raise self._over(file, f"more than {seconds:g} s", f"{seconds:g} (parsing.max_seconds)")
        answer: dict[str, Any] = json.loads(child.connection.recv_bytes())
        return answer

    def _over(self, file: SourceItem, got: str, most: str) -> BadInputError:
        return _refusal(["the file takes too much to read", got, f"at most {most}"], file)

    def _running(self) -> Child:
        if self._child is None:
            self._child = start_child(_CHILD, self._limits.max_memory_mb)
        return self._child

    def _stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            stop_child(child)


def _item(
    file: SourceItem,
    name: str,
    modified_at: str | None,
    content: str | None,
    kind: str | None,
    metadata: dict[str, str],
    refusal: list[str] | None,
) -> SourceItem:
    return SourceItem(
        f"{file.source_uri}#{name}",
        file.locator,
        modified_at=datetime.fromisoformat(modified_at) if modified_at else file.modified_at,
        content=None if content is None else content.encode(),
        mime_type=kind,
        metadata=metadata,
        refusal=None if refusal is None else _refusal(refusal, file),
    )


def _refusal(facts: list[str], file: SourceItem) -> BadInputError:
    what, got, wanted = facts
    return BadInputError(what, where=file.locator, got=got, wanted=wanted, next_step=_NEXT)


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(1024)
            file.seek(-min(len(_PARQUET_MARK), file.seek(0, io.SEEK_END)), io.SEEK_END)
            end = file.read()
    except OSError:
        return ""
    return PARQUET if start.startswith(_PARQUET_MARK) and end == _PARQUET_MARK else mime_type(path.name, start)
