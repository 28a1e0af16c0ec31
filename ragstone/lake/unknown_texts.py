"""How much text waits to be encoded, told before any of it is sent to an API that is paid by the token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ragstone.contracts.tables import SILVER_CHUNKS, TableSpec
from ragstone.lake import read
from ragstone.lake.delta import ABSENT
from ragstone.lake.pending_embeddings import pending_sql


@dataclass(frozen=True)
class UnknownTexts:
    """Distinct texts that wait and have no vector in the space yet, and their length in bytes of UTF-8 together."""

    texts: int
    size_bytes: int


def unknown_texts(root: Path, embeddings: TableSpec, chunk_version: int) -> UnknownTexts:
    """Return what waits at a version of the chunks (-1 when there is no such table)."""
    chunks = read.relation(root, SILVER_CHUNKS, chunk_version if chunk_version != ABSENT else None)
    sql = f"""
        SELECT count(*) AS texts, coalesce(sum(strlen(text)), 0)::BIGINT AS size_bytes FROM (
            SELECT text_hash, any_value(text) AS text
            FROM ({pending_sql(embeddings, "chunks", "vectors")})
            WHERE active AND text_hash NOT IN (SELECT text_hash FROM vectors WHERE active)
            GROUP BY text_hash
        )"""
    return UnknownTexts(**read.query(root, sql, chunks=chunks, vectors=embeddings).to_pylist()[0])
