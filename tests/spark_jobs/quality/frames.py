"""Candidate frames and vectors for the audits' tests."""

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from ragstone.contracts.identity import embedding_key
from ragstone.contracts.tables import TableSpec
from ragstone.embedding.spec import EmbeddingSpec
from spark_jobs import lake
from tests.factories import make_chunk_row


def frame_of(spark: SparkSession, spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    return spark.createDataFrame([[row[name] for name in spec.column_names] for row in rows], lake.struct_type(spec))


def unit_vector(axis: int, dim: int) -> list[float]:
    return [1.0 if place == axis else 0.0 for place in range(dim)]


def embedding_row(spec: EmbeddingSpec, text: str, axis: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a valid row for a chunk of this text; texts with another `axis` have another vector."""
    chunk = make_chunk_row(text)
    row = {
        **{name: chunk[name] for name in ("chunk_id", "text_hash", "active", "event_timestamp", "run_id")},
        "created_timestamp": chunk["created_timestamp"],
        "embedding_key": embedding_key(chunk["text_hash"], spec.encoder_hash),
        "model_id": spec.model_id,
        "model_hash": spec.model_hash,
        "dim": spec.dim,
        "embedding": unit_vector(axis, spec.dim),
    }
    return {**row, **changes}
