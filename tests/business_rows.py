"""What two lakes must share: every column but when and by which run a row was written."""

from __future__ import annotations

from pathlib import Path

from ragstone.contracts.tables import (
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
    TableSpec,
    embeddings,
)
from ragstone.embedding.load import embedding_spec
from ragstone.lake import read
from ragstone.runtime.settings import Settings

_WRITTEN_BY = ("created_timestamp", "run_id")


def silver_tables(settings: Settings) -> tuple[TableSpec, ...]:
    """Return the tables below silver, the configured embedding space's among them."""
    spec = embedding_spec(settings)
    return SILVER_DOCUMENTS, SILVER_CHUNKS, DOCUMENT_ACCESS, DOCUMENT_STATS, embeddings(spec.space, spec.dim)


def business_rows(root: Path, spec: TableSpec) -> list[tuple[str, ...]]:
    """Return every row of a table, as texts and in order, without who wrote it when."""
    columns = [name for name in spec.column_names if name not in _WRITTEN_BY]
    rows = read.query(root, f"SELECT {', '.join(columns)} FROM t", t=spec).to_pylist()
    return sorted(tuple(map(repr, row.values())) for row in rows)
