"""Which chunks belong in an index, and their vectors, streamed from the lake into one matrix.

A list column is the slowest thing in the lake to decode, so it is read once: a first pass over narrow columns picks the
rows that count, by their position in the scan; a second pass over the vectors alone copies those rows to their places.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pds
from pyarrow.parquet import ParquetFile

from ragstone.contracts.state import NOW, AsOf, state_sql
from ragstone.contracts.tables import (
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    LONG,
    SILVER_CHUNKS,
    Column,
    TableSpec,
    embeddings,
)
from ragstone.lake import read
from ragstone.lake.commits import content_version
from ragstone.lake.delta import table_id, table_version
from ragstone.runtime.errors import ContractError

_BATCH_ROWS: Final = 4_096
# Small batches stay in the processor's cache between decoding and copying.
_VECTOR_BATCH_ROWS: Final = 1_024
_BUFFER_BYTES: Final = 1 << 20
_POSITION: Final = Column("scan_position", LONG, "row number in the scan of the table", nullable=False)


@dataclass(frozen=True)
class TableState:
    """A table as one reader saw it: its Delta version (-1 when absent) and the identity it got when created.

    `content_version` is the newest version, up to that one, that changed rows: maintenance leaves it as it is.
    """

    version: int
    content_version: int
    table_id: str | None


@dataclass(frozen=True)
class IndexRows:
    """The chunks that belong in an index: living, with a living vector, of a living document; ordered by chunk_id.

    `table` has chunk_id, document_id, text_hash, chunker_hash, embedding_key and scan_position, the row's place among
    the `scanned` rows of the embeddings. `left_out` counts living chunks by why they are not in: no_embedding or
    document_inactive. `newest_write` is the newest created_timestamp of any row seen, or None when there was none.
    """

    table: pa.Table
    scanned: int
    left_out: Mapping[str, int]
    tables: Mapping[str, TableState]
    newest_write: datetime | None


def index_tables(space: str, dim: int) -> tuple[TableSpec, ...]:
    """Return the tables an index is built from: chunks, embeddings of the space, document access, document stats."""
    return SILVER_CHUNKS, embeddings(space, dim), DOCUMENT_ACCESS, DOCUMENT_STATS


def table_states(root: Path, specs: Sequence[TableSpec]) -> dict[str, TableState]:
    """Return the version and identity of each table now, by name."""
    return {spec.name: _state(root, spec) for spec in specs}


def _state(root: Path, spec: TableSpec) -> TableState:
    version = table_version(root, spec)
    return TableState(version, content_version(root, spec, version), table_id(root, spec))


def index_rows(root: Path, space: str, dim: int, as_of: AsOf = NOW) -> IndexRows:
    """Return the chunks that belong in an index of one space, within the bounds. Reads no vector and no text."""
    specs = index_tables(space, dim)
    tables = table_states(root, specs)
    narrow = [narrowed(spec, names) for spec, names in zip(specs, _NARROW_COLUMNS, strict=True)]
    relations = [_scan(root, spec, wide, tables) for spec, wide in zip(narrow, specs, strict=True)]
    chunks, vectors, access, _ = relations
    vectors = vectors.append_column(_POSITION.name, pa.array(np.arange(vectors.num_rows)))
    joined = read.query(root, _joined_sql(narrow, as_of), chunks=chunks, vectors=vectors, access=access)
    return IndexRows(
        table=joined.filter(pc.is_null(joined["left_out"])).drop_columns(["left_out"]).sort_by("chunk_id"),
        scanned=vectors.num_rows,
        left_out={str(count["values"]): count["counts"] for count in _counts(joined["left_out"])},
        tables=tables,
        newest_write=max(
            filter(None, (pc.max(table["created_timestamp"]).as_py() for table in relations)), default=None
        ),
    )


def index_documents(root: Path, rows: IndexRows, as_of: AsOf = NOW) -> pa.Table:
    """Return what a search can filter by: document_id, acl, source, language, source_modified_at.

    One row for each document of `rows`, ordered by document_id; `as_of` as it was for `rows`. What is not known of a
    document is null.
    """
    wanted = pa.table({"document_id": rows.table["document_id"].unique()})
    access, stats = (read.relation(root, spec, rows.tables[spec.name].version) for spec in _DOCUMENT_TABLES)
    sql = f"""
        SELECT w.document_id, a.acl, s.source, s.language, s.source_modified_at FROM wanted w
        LEFT JOIN ({state_sql(DOCUMENT_ACCESS, "access", as_of)}) a ON a.document_id = w.document_id
        LEFT JOIN ({state_sql(DOCUMENT_STATS, "stats", as_of)}) s ON s.document_id = w.document_id
        ORDER BY w.document_id"""
    return read.query(root, sql, wanted=wanted, access=access, stats=stats)


def fill_matrix(root: Path, space: str, rows: IndexRows, matrix: npt.NDArray[np.float32]) -> None:
    """Copy the vectors of `rows`, in their order, into `matrix`: float32 (rows, dim), preallocated, C order.

    Raises ContractError when a vector is missing, holds a null or has another length than the matrix is wide.
    """
    spec = embeddings(space, matrix.shape[1])
    places = np.full(rows.scanned, -1, dtype=np.int64)
    places[rows.table["scan_position"].to_numpy()] = np.arange(rows.table.num_rows)
    dataset = read.relation(root, spec, rows.tables[spec.name].version)
    fragments = [] if isinstance(dataset, pa.Table) else list(dataset.get_fragments())
    starts = accumulate((fragment.count_rows() for fragment in fragments), initial=0)
    # Decoding lets go of the interpreter, and no two files share a place.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        copies = [
            threads.submit(_copy_fragment, fragment, places[start:], matrix, spec)
            for fragment, start in zip(fragments, starts, strict=False)
        ]
        for copy in copies:
            copy.result()


def living_texts(root: Path, rows: IndexRows, as_of: AsOf = NOW) -> Iterator[tuple[int, str]]:
    """Yield place and text of each chunk of `rows`, in no particular order; `as_of` as it was for `rows`."""
    wanted = {chunk_id: place for place, chunk_id in enumerate(rows.table["chunk_id"].to_pylist())}
    version = rows.tables[SILVER_CHUNKS.name].version
    for batch in read.state_batches(root, SILVER_CHUNKS, as_of, _BATCH_ROWS, ("chunk_id", "text"), version):
        for chunk_id, text in zip(batch["chunk_id"].to_pylist(), batch["text"].to_pylist(), strict=True):
            if chunk_id in wanted:
                yield wanted[chunk_id], text


def texts_of(root: Path, chunk_ids: Sequence[str], as_of: AsOf = NOW) -> dict[str, str]:
    """Return the living texts of some chunks by chunk_id; a chunk without one is left out."""
    wanted = pa.table({"chunk_id": pa.array(chunk_ids, pa.string())})
    history = "(SELECT * FROM chunks WHERE chunk_id IN (SELECT chunk_id FROM wanted))"
    sql = f"SELECT chunk_id, text FROM ({state_sql(SILVER_CHUNKS, history, as_of)})"
    found = read.query(root, sql, chunks=SILVER_CHUNKS, wanted=wanted)
    return dict(zip(found["chunk_id"].to_pylist(), found["text"].to_pylist(), strict=True))


@dataclass(frozen=True)
class LakeVector:
    """A living vector as the lake holds it: float32 (dim,), and the identity of text and encoder it stands for."""

    embedding_key: str
    vector: npt.NDArray[np.float32]


def vectors_of(root: Path, space: str, dim: int, chunk_ids: Sequence[str], as_of: AsOf = NOW) -> dict[str, LakeVector]:
    """Return the living vectors of some chunks by chunk_id; a chunk without one is left out."""
    spec = embeddings(space, dim)
    wanted = pa.table({"chunk_id": pa.array(chunk_ids, pa.string())})
    history = "(SELECT * FROM vectors WHERE chunk_id IN (SELECT chunk_id FROM wanted))"
    sql = f"SELECT chunk_id, embedding_key, embedding FROM ({state_sql(spec, history, as_of)})"
    found = read.query(root, sql, vectors=spec, wanted=wanted)
    keys, vectors = found["embedding_key"].to_pylist(), found["embedding"]
    return {
        chunk_id: LakeVector(key, np.asarray(vector.values.to_numpy(zero_copy_only=False), dtype=np.float32))
        for chunk_id, key, vector in zip(found["chunk_id"].to_pylist(), keys, vectors, strict=True)
    }


_DOCUMENT_TABLES: Final = (DOCUMENT_ACCESS, DOCUMENT_STATS)
_NARROW_COLUMNS: Final = (
    ("document_id", "text_hash", "chunker_hash"),
    ("embedding_key",),
    (),
    (),
)


def narrowed(spec: TableSpec, names: Sequence[str]) -> TableSpec:
    """Return a table's spec with some columns only: its keys, these, and what the state of a table rests on."""
    kept = (*spec.keys, *names, "active", "event_timestamp", "created_timestamp")
    return replace(spec, columns=tuple(spec.column(name) for name in kept))


def _scan(root: Path, narrow: TableSpec, wide: TableSpec, tables: Mapping[str, TableState]) -> pa.Table:
    found = read.relation(root, wide, tables[wide.name].version)
    names = list(narrow.column_names)
    return found.select(names) if isinstance(found, pa.Table) else found.to_table(columns=names)


def _joined_sql(narrow: Sequence[TableSpec], as_of: AsOf) -> str:
    chunks, vectors, access, _ = narrow
    vectors = replace(vectors, columns=(*vectors.columns, _POSITION))
    return f"""
        SELECT c.chunk_id, c.document_id, c.text_hash, c.chunker_hash, v.embedding_key, v.{_POSITION.name},
            CASE WHEN v.chunk_id IS NULL THEN 'no_embedding'
                 WHEN a.document_id IS NULL THEN 'document_inactive' END AS left_out
        FROM ({state_sql(chunks, "chunks", as_of)}) c
        LEFT JOIN ({state_sql(vectors, "vectors", as_of)}) v ON v.chunk_id = c.chunk_id
        LEFT JOIN ({state_sql(access, "access", as_of)}) a ON a.document_id = c.document_id"""


def _counts(reasons: pa.ChunkedArray) -> list[dict[str, Any]]:
    return list(reasons.drop_null().value_counts().to_pylist())


def _copy_fragment(
    fragment: pds.Fragment, places: npt.NDArray[np.int64], matrix: npt.NDArray[np.float32], spec: TableSpec
) -> None:
    """Copy the vectors of one file; `places` begins with its first row's, -1 for a row that does not count."""
    start = 0
    with fragment.open() as file:
        # A scan of the dataset decodes whole row groups, several ahead: nine times the memory, and slower.
        parquet = ParquetFile(file, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        for batch in parquet.iter_batches(_VECTOR_BATCH_ROWS, columns=["embedding"], use_threads=False):
            wanted = places[start : start + batch.num_rows]
            start += batch.num_rows
            chosen = wanted >= 0
            if chosen.any():
                vectors = batch.column(0) if chosen.all() else batch.column(0).filter(pa.array(chosen))
                matrix[wanted[chosen]] = _as_matrix(vectors, spec, matrix.shape[1])


def _as_matrix(vectors: pa.ListArray, spec: TableSpec, dim: int) -> npt.NDArray[np.float32]:
    lengths = pc.list_value_length(vectors)
    # Nulls are dropped by flatten, which would shift every later row, so each length is checked first.
    if vectors.null_count or pc.min_max(lengths).as_py() != {"min": dim, "max": dim}:
        raise _unusable(spec, f"{vectors.null_count} missing, lengths {pc.min_max(lengths).as_py()}", dim)
    values = vectors.flatten()
    if values.null_count:
        raise _unusable(spec, f"{values.null_count} null elements", dim)
    matrix: npt.NDArray[np.float32] = values.to_numpy().reshape(-1, dim)
    return matrix


def _unusable(spec: TableSpec, got: str, dim: int) -> ContractError:
    return ContractError(
        "living rows hold vectors that cannot go into an index",
        where=spec.name,
        got=got,
        wanted=f"{dim} elements each, none of them null",
        next_step="ragstone embed, after finding out who wrote those rows",
    )
