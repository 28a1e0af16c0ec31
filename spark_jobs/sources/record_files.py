"""Files whose rows are documents: csv, jsonl and parquet."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.source_settings import RecordColumns
from spark_jobs.parsers.tables import csv_records, jsonl_records
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.encoding import detect_encoding
from spark_jobs.sources.mime import CSV, JSONL, PARQUET, mime_type
from spark_jobs.sources.records import record_item

_SAMPLE_BYTES: Final = 262_144
_PARQUET_MARK: Final = b"PAR1"


def holds_records(path: Path) -> bool:
    """Return whether a file is one whose rows can be documents."""
    return _kind(path) in (CSV, JSONL, PARQUET)


def record_items(
    path: Path, file: SourceItem, columns: RecordColumns | None, max_item_bytes: int
) -> Iterator[SourceItem]:
    """Yield an item for each row of a file, in its order; a bad row is an item with its refusal.

    Raises BadInputError when the file cannot be read, or no further.
    """
    if columns is None:
        raise BadInputError("the file holds records", got=file.source_uri, wanted="`records` in the source's settings")
    seen: set[str] = set()
    try:
        for number, record in enumerate(_records(path), start=1):
            item = _row_item(record, columns, file, number, max_item_bytes)
            if item.source_uri in seen:
                twice = BadInputError(f"row {number} has an id that came before", got=item.source_uri, wanted="one row")
                item = SourceItem(f"{file.source_uri}#row {number}", file.locator, refusal=twice)
            seen.add(item.source_uri)
            yield item
    except (OSError, pa.ArrowException, UnicodeError) as broken:
        raise BadInputError("the file cannot be read", got=broken, wanted="a whole file of records") from broken


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    kind = _kind(path)
    if kind == PARQUET:
        with ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
        return
    with path.open(encoding=_encoding(path), newline="") as lines:
        yield from csv_records(lines) if kind == CSV else jsonl_records(lines)


def _row_item(
    record: Mapping[str, Any], columns: RecordColumns, file: SourceItem, number: int, max_item_bytes: int
) -> SourceItem:
    try:
        item = record_item(record, columns, file.locator)
        if item.content is not None and len(item.content) > max_item_bytes:
            got, wanted = f"{len(item.content)} bytes", f"at most {max_item_bytes} (ingest.max_item_bytes)"
            raise BadInputError(f"row {number} is too large", got=got, wanted=wanted)
    except BadInputError as bad:
        return SourceItem(f"{file.source_uri}#row {number}", file.locator, refusal=bad)
    modified_at = item.modified_at or file.modified_at
    return replace(item, source_uri=f"{file.source_uri}#{item.source_uri}", modified_at=modified_at)


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(1024)
            file.seek(-min(len(_PARQUET_MARK), file.seek(0, io.SEEK_END)), io.SEEK_END)
            end = file.read()
    except OSError:
        return ""
    return PARQUET if start.startswith(_PARQUET_MARK) and end == _PARQUET_MARK else mime_type(path.name, start)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    # Up to the last whole line: a character that is cut in two would tell of broken text.
    whole = sample.rfind(b"\n") + 1
    return detect_encoding(sample[:whole] if len(sample) == _SAMPLE_BYTES and whole else sample)
