"""Which chunks lack the embedding row they should have: what embed has to do, told without reading a text or a vector.

A chunk's text never changes, so all that matters of its history is when it came, went and came back: its turns. The
newest turn of each chunk has an embedding row with the same event_timestamp, or is pending. Versions that only moved
the chunk are no turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ragstone.contracts.state import newest_rows_sql, state_sql
from ragstone.contracts.tables import SILVER_CHUNKS, TableSpec
from ragstone.lake import read
from ragstone.lake.delta import ABSENT

_NARROW: Final = ("chunk_id", "active", "event_timestamp", "created_timestamp")


@dataclass(frozen=True)
class PendingEmbeddings:
    """How much waits: `to_embed` chunks for a vector, `to_end` for a tombstone, of `living` chunks in all.

    Of the distinct texts that wait, `known_texts` have a vector in some embedding row, old or new, and `unknown_texts`
    have none. `fresh` counts waiting chunks that are not set aside. `newest_write` is the newest created_timestamp
    among the embeddings, if any.
    """

    living: int
    to_embed: int
    to_end: int
    fresh: int
    known_texts: int
    unknown_texts: int
    newest_write: datetime | None

    @property
    def total(self) -> int:
        """Return how many rows wait to be written."""
        return self.to_embed + self.to_end


def pending_sql(embeddings: TableSpec, chunk_rows: str, embedding_rows: str) -> str:
    """Return SQL, for Spark and DuckDB, for the newest turn of each chunk that has no embedding row yet.

    `chunk_rows` and `embedding_rows` are relations with the columns of the tables. The result has chunk_id,
    document_id, text, text_hash, active and event_timestamp, at most one row per chunk.
    """
    narrow = replace(embeddings, columns=tuple(embeddings.column(name) for name in _NARROW))
    return f"""
        WITH history AS (
            SELECT chunk_id, document_id, text, text_hash, active, event_timestamp, created_timestamp,
                lag(active, 1, FALSE) OVER (
                    PARTITION BY chunk_id ORDER BY event_timestamp, created_timestamp, active DESC
                ) AS was_active
            FROM {chunk_rows}
        ), turns AS (
            SELECT *, row_number() OVER (
                PARTITION BY chunk_id ORDER BY event_timestamp DESC, created_timestamp DESC, active
            ) AS turn_rank
            FROM history WHERE active <> was_active
        )
        SELECT t.chunk_id, t.document_id, t.text, t.text_hash, t.active, t.event_timestamp
        FROM turns t LEFT JOIN ({newest_rows_sql(narrow, embedding_rows)}) e ON e.chunk_id = t.chunk_id
        WHERE t.turn_rank = 1 AND CASE
            WHEN t.active THEN e.chunk_id IS NULL OR NOT e.active OR e.event_timestamp < t.event_timestamp
            ELSE coalesce(e.active, FALSE) END"""


def pending_embeddings(
    root: Path,
    embeddings: TableSpec,
    chunk_version: int,
    set_aside: Sequence[str] = (),
    among: pa.Table | None = None,
) -> PendingEmbeddings:
    """Return how much waits to be embedded at a version of the chunks (-1 when there is no such table).

    `set_aside` has the chunk_ids that were rejected before. `among`, a table with a column chunk_id, tells which chunks
    can wait at all; without it each is held against the embeddings.
    """
    chunks = read.relation(root, SILVER_CHUNKS, chunk_version if chunk_version != ABSENT else None)
    counts = read.query(
        root, _counts_sql(embeddings, among), (list(set_aside),), chunks=chunks, vectors=embeddings, **_among(among)
    )
    return PendingEmbeddings(**counts.to_pylist()[0])


def pending_chunks(
    root: Path, embeddings: TableSpec, chunk_version: int, among: pa.Table | None = None
) -> list[dict[str, Any]]:
    """Return the rows of `pending_sql` at a version of the chunks, with the texts of those that live."""
    chunks = read.relation(root, SILVER_CHUNKS, chunk_version)
    # In two steps, for sorting the history of all chunks with their texts takes many times as long.
    waiting = read.query(
        root,
        f"SELECT chunk_id, document_id, text_hash, active, event_timestamp FROM ({_pending_among(embeddings, among)})",
        chunks=chunks,
        vectors=embeddings,
        **_among(among),
    ).to_pylist()
    texts = read.query(
        root,
        "SELECT chunk_id, any_value(text) AS text FROM chunks"
        " WHERE active AND chunk_id IN (SELECT chunk_id FROM wanted) GROUP BY chunk_id",
        chunks=chunks,
        wanted=pa.table({"chunk_id": pa.array([row["chunk_id"] for row in waiting if row["active"]], pa.string())}),
    ).to_pylist()
    found = {row["chunk_id"]: row["text"] for row in texts}
    return [{**row, "text": found.get(row["chunk_id"])} for row in waiting]


def _among(among: pa.Table | None) -> dict[str, pa.Table]:
    return {} if among is None else {"among": among}


def _pending_among(embeddings: TableSpec, among: pa.Table | None) -> str:
    if among is None:
        return pending_sql(embeddings, "chunks", "vectors")
    only = "WHERE chunk_id IN (SELECT chunk_id FROM among)"
    return pending_sql(embeddings, f"(SELECT * FROM chunks {only})", f"(SELECT * FROM vectors {only})")


def _counts_sql(embeddings: TableSpec, among: pa.Table | None) -> str:
    narrow_chunks = replace(SILVER_CHUNKS, columns=tuple(SILVER_CHUNKS.column(name) for name in _NARROW))
    return f"""
        WITH pending AS ({_pending_among(embeddings, among)}),
        known AS (
            SELECT DISTINCT text_hash FROM vectors WHERE active AND text_hash IN (SELECT text_hash FROM pending)
        )
        SELECT
            (SELECT count(*) FROM ({state_sql(narrow_chunks, "chunks")})) AS living,
            count(*) FILTER (active) AS to_embed,
            count(*) FILTER (NOT active) AS to_end,
            count(*) FILTER (NOT list_contains(?::VARCHAR[], chunk_id)) AS fresh,
            count(DISTINCT text_hash) FILTER (active AND text_hash IN (FROM known)) AS known_texts,
            count(DISTINCT text_hash) FILTER (active AND text_hash NOT IN (FROM known)) AS unknown_texts,
            (SELECT max(created_timestamp) FROM vectors) AS newest_write
        FROM pending"""
