"""The newest row of every key of a table, streamed: its memory does not grow with the table's rows or their width.

A first pass over keys and times alone picks the rows that count, by file and position, a share of the keys at a time;
a second pass reads each file once and passes on what was picked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow.parquet import ParquetFile

from ragstone.contracts.state import newest_rows_sql
from ragstone.contracts.tables import LONG, STRING, Column, TableSpec
from ragstone.lake import read
from ragstone.lake.delta import open_table
from ragstone.lake.files import files_sql
from ragstone.lake.schema import arrow_schema

# So many keys and times are ranked at once, which takes some 30 MB.
_RANKED_ROWS: Final = 250_000
_BUFFER_BYTES: Final = 1 << 20
_FILE: Final = Column("filename", STRING, "data file of the row", nullable=False)
_POSITION: Final = Column("file_row_number", LONG, "row number in that file", nullable=False)
_RANKED_BY: Final = ("active", "event_timestamp", "created_timestamp")

Mask = npt.NDArray[np.bool_]


def newest_batches(
    root: Path, spec: TableSpec, columns: Sequence[str], where: str = "TRUE", batch_rows: int = read.BATCH_ROWS
) -> Iterator[pa.RecordBatch]:
    """Yield per key the newest row that meets a condition on its times, tombstones included, in no particular order.

    Batches have `columns` in their order with the spec's types, and at most `batch_rows` rows. All of them are of the
    version that the table had at the first.
    """
    table = open_table(root, spec)
    if table is None:
        return
    schema = pa.schema([arrow_schema(spec).field(name) for name in columns])
    for file, wanted in _picked(root, spec, where, table.version()).items():
        yield from _rows(file, wanted, schema, batch_rows)


def _picked(root: Path, spec: TableSpec, where: str, version: int) -> dict[str, Mask]:
    """Return for each file with a picked row which of its rows are picked, up to the last one."""
    kept = (*spec.keys, *_RANKED_BY)
    ranked = replace(spec, columns=(*(spec.column(name) for name in kept), _FILE, _POSITION))
    files = files_sql(root, spec, version)
    if not files.startswith("read_parquet"):
        return {}
    shares = 1 + int(read.query(root, f"SELECT count(*) AS rows FROM {files}")["rows"][0].as_py()) // _RANKED_ROWS
    found: dict[str, Mask] = {}
    for share in range(shares):
        of_share = f"hash({', '.join(spec.keys)}) % {shares} = {share}"
        # Named, because both columns that tell where a row lies are hidden from a star.
        rows = f"(SELECT {', '.join(ranked.column_names)} FROM {files} WHERE {of_share} AND ({where}))"
        newest = newest_rows_sql(ranked, rows)
        sql = f"SELECT filename, list(file_row_number) AS positions FROM ({newest}) GROUP BY filename"
        picked = read.query(root, sql)
        for file, positions in zip(picked["filename"].to_pylist(), picked["positions"], strict=True):
            _pick(found, file, positions.values.to_numpy())
    return found


def _pick(found: dict[str, Mask], file: str, positions: npt.NDArray[np.int64]) -> None:
    if file not in found:
        with ParquetFile(file) as parquet:
            found[file] = np.zeros(parquet.metadata.num_rows, dtype=np.bool_)
    found[file][positions] = True


def _rows(file: str, wanted: Mask, schema: pa.Schema, batch_rows: int) -> Iterator[pa.RecordBatch]:
    # A scan of a dataset decodes whole row groups, several ahead.
    with ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False) as parquet:
        held = set(parquet.schema_arrow.names)
        names, start = [name for name in schema.names if name in held], 0
        for batch in parquet.iter_batches(batch_rows, columns=names, use_threads=False):
            chosen = wanted[start : start + batch.num_rows]
            start += batch.num_rows
            if chosen.any():
                yield _as(batch if chosen.all() else batch.filter(pa.array(chosen)), schema)


def _as(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """Return a batch with the columns of a schema; one that an older file does not have is null."""
    held = set(batch.schema.names)
    columns = [
        batch.column(field.name).cast(field.type) if field.name in held else pa.nulls(batch.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)
