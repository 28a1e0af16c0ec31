"""The rows of a csv, jsonl or parquet file as items, as the process with limits reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.source_settings import RecordColumns
from spark_jobs.parsers.tables import csv_records, jsonl_records
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.encoding import detect_encoding
from spark_jobs.sources.mime import CSV, PARQUET
from spark_jobs.sources.records import record_item

_SAMPLE_BYTES: Final = 262_144
_ROWS_AT_ONCE: Final = 1_000


def row_items(
    path: Path, kind: str, columns: RecordColumns, max_item_bytes: int, max_unpacked_bytes: int
) -> Iterator[SourceItem]:
    """Yield an item for each row, in the order of the file; a bad row is an item `row N` with its refusal.

    Raises BadInputError when the file cannot be read, no further, or unpacks to more than `max_unpacked_bytes`.
    """
    seen: set[str] = set()
    try:
        records = _parquet_records(path, max_unpacked_bytes) if kind == PARQUET else _text_records(path, kind)
        for number, record in enumerate(records, start=1):
            item = _row_item(record, columns, str(path), number, max_item_bytes)
            if item.source_uri in seen:
                twice = BadInputError(f"row {number} has an id that came before", got=item.source_uri, wanted="one row")
                item = SourceItem(f"row {number}", item.locator, refusal=twice)
            seen.add(item.source_uri)
            yield item
    except MemoryError:
        raise
    except (OSError, pa.ArrowException, UnicodeError) as broken:
        raise BadInputError("the file cannot be read", got=broken, wanted="a whole file of records") from broken


def _parquet_records(path: Path, max_unpacked_bytes: int) -> Iterator[Mapping[str, Any]]:
    unpacked = 0
    with ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
            unpacked += batch.nbytes
            if unpacked > max_unpacked_bytes:
                raise BadInputError(
                    "the file unpacks to too much",
                    got=f"{unpacked} bytes and more",
                    wanted=f"at most {max_unpacked_bytes} (parsing.max_unpacked_bytes)",
                )
            yield from batch.to_pylist()


def _text_records(path: Path, kind: str) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding=_encoding(path), newline="") as lines:
        yield from csv_records(lines) if kind == CSV else jsonl_records(lines)


def _row_item(
    record: Mapping[str, Any], columns: RecordColumns, locator: str, number: int, max_item_bytes: int
) -> SourceItem:
    try:
        item = record_item(record, columns, locator)
        size = len(item.source_uri) + len(item.content or b"") + sum(map(len, item.metadata.values()))
        if size > max_item_bytes:
            wanted = f"at most {max_item_bytes} (ingest.max_item_bytes)"
            raise BadInputError(f"row {number} is too large", got=f"{size} bytes", wanted=wanted)
    except BadInputError as bad:
        return SourceItem(f"row {number}", locator, refusal=bad)
    return item


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    # Up to the last whole line: a character that is cut in two would tell of broken text.
    whole = sample.rfind(b"\n") + 1
    return detect_encoding(sample[:whole] if len(sample) == _SAMPLE_BYTES and whole else sample)
