"""Parquet as a document: its rows as those of any table."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import pyarrow as pa
from pyarrow.parquet import ParquetFile

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Page
from spark_jobs.parsers.tables import row_blocks

_ROWS_AT_ONCE = 1_000


def read_parquet(content: bytes, max_unpacked_bytes: int) -> Page:
    """Return a page with a line per row, as `row_blocks` makes it. Raises BadInputError."""
    try:
        return Page(list(row_blocks(_records(content), max_unpacked_bytes)))
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as broken:
        raise BadInputError("the table cannot be read as Parquet", got=broken, wanted="a whole file") from broken


def _records(content: bytes) -> Iterator[Mapping[str, object]]:
    with ParquetFile(io.BytesIO(content)) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
            yield from batch.to_pylist()
