"""From pending chunks and vectors to rows of an embedding table."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as sql

from ragstone.contracts.tables import TableSpec
from ragstone.embedding.spec import EmbeddingSpec
from spark_jobs.lake import SPARK_TYPES

VECTOR_SCHEMA: Final = "embedding_key string, embedding array<float>"


def embedding_key(text_hash: Column, encoder_hash: str) -> Column:
    """Return, as a column, what `ragstone.contracts.identity.embedding_key` returns."""
    # Both parts are hexadecimal, so joining them by hand gives the JSON that the identity hashes.
    canonical = sql.concat(sql.lit('["embedding","'), text_hash, sql.lit(f'","{encoder_hash}"]'))
    return sql.substring(sql.sha2(canonical, 256), 1, 32)


def known_vectors(pending: DataFrame, rows: DataFrame) -> DataFrame:
    """Return embedding_key and embedding of the pending keys that any row of the table, old or new, has a vector of."""
    wanted = pending.filter("active").select("embedding_key")
    with_vector = rows.filter("active").select("embedding_key", "embedding")
    return with_vector.join(wanted, "embedding_key", "left_semi").dropDuplicates(["embedding_key"])


def unknown_texts(pending: DataFrame, known: DataFrame) -> DataFrame:
    """Return embedding_key and text of the pending keys without a known vector, each key once."""
    living = pending.filter("active").select("embedding_key", "text")
    return living.join(known, "embedding_key", "left_anti").dropDuplicates(["embedding_key"])


def embedding_rows(
    pending: DataFrame,
    vectors: DataFrame,
    table: TableSpec,
    spec: EmbeddingSpec,
    created_at: datetime,
    run_id: str,
) -> DataFrame:
    """Return one row per pending chunk with the table's columns, and document_id beside them.

    A living chunk gets the vector of its embedding_key, null when there is none; one that is gone gets a tombstone.
    Each row carries the event_timestamp of the pending row.
    """
    written = {"created_timestamp": sql.lit(created_at), "run_id": sql.lit(run_id)}
    living = (
        pending.filter("active")
        .join(vectors, "embedding_key", "left")
        .withColumns(
            {
                "model_id": sql.lit(spec.model_id),
                "model_hash": sql.lit(spec.model_hash),
                "dim": sql.lit(spec.dim),
                **written,
            }
        )
    )
    kept = ("chunk_id", "active", "event_timestamp", *written)
    nothing = {
        column.name: sql.lit(None).cast(SPARK_TYPES[column.type]) for column in table.columns if column.name not in kept
    }
    ended = pending.filter("NOT active").withColumns({**nothing, **written})
    columns = (*table.column_names, "document_id")
    return living.select(*columns).unionByName(ended.select(*columns))
