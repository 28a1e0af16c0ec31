"""One batch of embeddings in Spark: read what waits, encode what is unknown, audit, append."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql

from ragstone.contracts.tables import SILVER_CHUNKS, SILVER_DOCUMENTS
from ragstone.lake.pending_embeddings import pending_sql
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from spark_jobs import lake
from spark_jobs.embedded_batch import EmbeddedBatch
from spark_jobs.embedding_task import EmbeddingTask
from spark_jobs.persistence import detached, persisted
from spark_jobs.quality.audit import audit_candidates
from spark_jobs.quality.rulesets import EMBEDDINGS, sources_with_rules
from spark_jobs.session import open_session
from spark_jobs.transforms.embeddings import (
    VECTOR_SCHEMA,
    embedding_key,
    embedding_rows,
    known_vectors,
    unknown_texts,
)
from spark_jobs.transforms.encode import ENCODED_SCHEMA, encode_texts
from spark_jobs.worker_errors import as_workers_told


def embed_batch(settings: Settings, run_id: str, task: EmbeddingTask) -> EmbeddedBatch:
    """Write the embedding rows of all pending chunks in one commit.

    Raises QualityGateError, and what the encoder raised in a worker; then none is written.
    """
    spark, root = open_session(settings), settings.lake_root
    chunks = lake.read_table(spark, root, SILVER_CHUNKS, task.chunk_version)
    rows = lake.read_table(spark, root, task.table)
    living = living_chunks(spark, settings)
    with as_workers_told(), ExitStack() as kept:
        pending = kept.enter_context(persisted(detached(_pending(spark, chunks, rows, task))))
        known = _known(pending, rows, task)
        encoded = kept.enter_context(persisted(_encoded(pending, known, settings, task)))
        details = _encode(encoded, task)
        vectors = known.unionByName(encoded.select(*known.columns))
        candidates = embedding_rows(pending, vectors, task.table, task.spec, task.created_at(), run_id)
        kept.enter_context(persisted(candidates))
        outcome = audit_candidates(spark, settings, run_id, task.step, task.table, candidates, living)
        accepted = outcome.accepted.select(*task.table.column_names)
        version = lake.append(accepted, root, task.table, task.transaction)
    return EmbeddedBatch(version, outcome.rejected, outcome.ruleset_hash, details)


def living_chunks(spark: SparkSession, settings: Settings) -> DataFrame:
    """Return the chunk_id of every living chunk, and its source where rules ask for it."""
    chunks = lake.state(spark, settings.lake_root, SILVER_CHUNKS)
    if not sources_with_rules(settings, EMBEDDINGS):
        return chunks.select("chunk_id")
    documents = lake.state(spark, settings.lake_root, SILVER_DOCUMENTS).select("document_id", "source")
    return chunks.select("chunk_id", "document_id").join(documents, "document_id", "left")


def _pending(spark: SparkSession, chunks: DataFrame, rows: DataFrame, task: EmbeddingTask) -> DataFrame:
    pending = spark.sql(pending_sql(task.table, "{chunks}", "{embeddings}"), chunks=chunks, embeddings=rows)
    return pending.withColumn("embedding_key", embedding_key(sql.col("text_hash"), task.spec.encoder_hash))


def _known(pending: DataFrame, rows: DataFrame, task: EmbeddingTask) -> DataFrame:
    if task.pending.known_texts == 0:
        # An empty frame costs nothing in the joins that follow; finding nothing in the whole table does.
        return pending.sparkSession.createDataFrame([], VECTOR_SCHEMA)
    return known_vectors(pending, rows)


def _encoded(pending: DataFrame, known: DataFrame, settings: Settings, task: EmbeddingTask) -> DataFrame:
    if task.pending.unknown_texts == 0:
        return pending.sparkSession.createDataFrame([], ENCODED_SCHEMA)
    return encode_texts(unknown_texts(pending, known), settings, task.pending.unknown_texts)


def _encode(encoded: DataFrame, task: EmbeddingTask) -> Mapping[str, object]:
    """Encode now, in a job of nothing else, and return what it took.

    Left to the joins that follow, encoding could end up inside a broadcast, which Spark gives up after five minutes.
    """
    started = time.perf_counter()
    if task.pending.unknown_texts == 0:
        return {"texts_encoded": 0, "chunks": task.pending.total}
    took = encoded.agg(
        sql.count("*").alias("texts"),
        sql.max(sql.size("embedding")).alias("dim"),
        # Independent of order, so that equal texts under an equal encoder log an equal checksum.
        sql.hex(sql.expr("bit_xor(xxhash64(embedding_key, embedding))")).alias("checksum"),
        sql.sum("seconds").alias("encoder_seconds"),
        sql.max("worker_peak_bytes").alias("worker_peak_bytes"),
    ).collect()[0]
    seconds = time.perf_counter() - started
    facts = {
        "shape": [took.texts, took.dim],
        "checksum": took.checksum,
        "seconds": round(seconds, 3),
        "encoder_seconds": round(took.encoder_seconds, 3),
        "worker_peak_mb": round(took.worker_peak_bytes / 1e6),
    }
    get_logger(__name__).info("texts encoded", space=task.spec.space, chunks=task.pending.total, **facts)
    return {"texts_encoded": took.texts, "chunks": task.pending.total, **facts}
