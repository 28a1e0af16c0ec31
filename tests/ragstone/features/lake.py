"""A small lake for tests of features: two documents, four chunks, every kind of row that can go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import DOCUMENT_ACCESS, DOCUMENT_STATS, SILVER_CHUNKS, TableSpec, embeddings
from ragstone.runtime.settings import Settings
from tests.factories import DAY_ZERO, at, make_access_row, make_chunk_row, make_tombstone, write_rows

SPACE, DIM = "minilm_fp32", 4
EMBEDDINGS = embeddings(SPACE, DIM)
GUIDE, NOTES = document_id("notes", "guide.md"), document_id("notes", "notes.md")

KEPT = make_chunk_row("kept text", "guide.md")
DEAD = make_chunk_row("dead text", "guide.md", ordinal=1)
LATE = make_chunk_row("late text", "notes.md", ordinal=2)
TIED = make_chunk_row("tied text", "notes.md", ordinal=3)
CHUNKS = (KEPT, DEAD, LATE, TIED)


def make_embedding_row(chunk: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    row = {
        "chunk_id": chunk["chunk_id"],
        "embedding_key": f"key of {chunk['text']}",
        "text_hash": chunk["text_hash"],
        "model_id": "model",
        "model_hash": "hash of the model",
        "dim": DIM,
        "embedding": [0.5, 0.5, 0.5, 0.5],
        **{name: chunk[name] for name in ("active", "event_timestamp", "created_timestamp", "run_id")},
    }
    return {**row, **changes}


def make_stats_row(source_uri: str, **changes: Any) -> dict[str, Any]:
    row = {
        "document_id": document_id("notes", source_uri),
        "title": source_uri.removesuffix(".md"),
        "source": "notes",
        "source_uri": source_uri,
        "language": "en",
        "source_modified_at": DAY_ZERO,
        "char_count": 20,
        "chunk_count": 2,
        "token_count": 4,
        "change_count": 0,
        "active": True,
        "event_timestamp": DAY_ZERO,
        "created_timestamp": at(1),
        "run_id": "run-1",
    }
    return {**row, **changes}


def later(row: Mapping[str, Any], event: float, created: float, **changes: Any) -> dict[str, Any]:
    """Return another version of a row, learned and written at these minutes after day zero."""
    return {**row, "event_timestamp": at(event), "created_timestamp": at(created), **changes}


def history() -> list[tuple[TableSpec, list[dict[str, Any]]]]:
    """Return the rows of each table: a tombstone, a late row, a tie on event time, nulls in every kind of column."""
    dead = make_tombstone(SILVER_CHUNKS, DEAD["chunk_id"], event_timestamp=at(10), created_timestamp=at(11))
    chunks = [
        *CHUNKS,
        later(KEPT, 20, 21, ordinal=7),
        dead,
        # Written last, though an older version than the one at minute 20.
        later(LATE, 20, 21, heading_path="new"),
        later(LATE, 15, 30, heading_path="late"),
        later(TIED, 10, 11, token_count=1),
        later(TIED, 10, 12, token_count=2, ordinal=None),
    ]
    vectors = [
        *map(make_embedding_row, CHUNKS),
        make_tombstone(EMBEDDINGS, DEAD["chunk_id"], event_timestamp=at(10), created_timestamp=at(11)),
    ]
    access = [make_access_row("guide.md"), make_access_row("notes.md", acl=["staff", "board"])]
    stats = [
        make_stats_row("guide.md"),
        make_stats_row("notes.md", source_modified_at=None, language=None),
        later(make_stats_row("guide.md"), 20, 21, change_count=1),
    ]
    return [(SILVER_CHUNKS, chunks), (EMBEDDINGS, vectors), (DOCUMENT_ACCESS, access), (DOCUMENT_STATS, stats)]


def write_history(settings: Settings) -> None:
    for spec, rows in history():
        write_rows(settings.lake_root, spec, rows)


def write(root: Path, spec: TableSpec, *rows: Mapping[str, Any]) -> int:
    return write_rows(root, spec, rows)


def chunk_ids(chunks: Sequence[Mapping[str, Any]]) -> list[str]:
    return [chunk["chunk_id"] for chunk in chunks]
