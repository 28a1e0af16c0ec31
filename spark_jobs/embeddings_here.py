"""A few embeddings: what waits is read, and what is unknown encoded, in the driver.

Spark is left what only it can do: Deequ's verdict on the vectors, and holding them against the table's constraints,
which are in its SQL. Tombstones need neither, so a batch of nothing else starts no JVM.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragstone.contracts.identity import embedding_key
from ragstone.contracts.state import state_sql
from ragstone.contracts.tables import SILVER_CHUNKS, SILVER_DOCUMENTS
from ragstone.embedding.load import load_embedder
from ragstone.lake import read
from ragstone.lake.delta import append_tombstones
from ragstone.lake.files import files_sql
from ragstone.lake.pending_embeddings import pending_chunks
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from spark_jobs import small_batches
from spark_jobs.embedded_batch import EmbeddedBatch
from spark_jobs.embedding_task import EmbeddingTask
from spark_jobs.quality.rulesets import EMBEDDINGS, sources_with_rules

_Vectors = Mapping[str, Sequence[float]]


def fits_here(settings: Settings, task: EmbeddingTask) -> bool:
    """Return whether a batch is small enough, and its table there to be appended to."""
    pending = task.pending
    few = pending.unknown_texts <= small_batches.MAX_TEXTS and pending.to_embed <= small_batches.MAX_ROWS
    return few and small_batches.exist(settings.lake_root, task.table)


def embed_here(settings: Settings, run_id: str, task: EmbeddingTask) -> EmbeddedBatch:
    """Write the embedding rows of all pending chunks in one commit.

    Raises QualityGateError, and what the encoder raises; then none is written.
    """
    root = settings.lake_root
    chunks = pending_chunks(root, task.table, task.chunk_version, task.changed)
    written = {"created_timestamp": task.created_at(), "run_id": run_id}
    ended = [
        {
            **dict.fromkeys(task.table.column_names),
            "chunk_id": chunk["chunk_id"],
            "active": False,
            "event_timestamp": chunk["event_timestamp"],
            **written,
        }
        for chunk in chunks
        if not chunk["active"]
    ]
    living = [chunk for chunk in chunks if chunk["active"]]
    if not living:
        version = append_tombstones(root, task.table, ended, task.transaction)
        return EmbeddedBatch(version, 0, None, {"texts_encoded": 0, "chunks": len(chunks)})
    for chunk in living:
        chunk["embedding_key"] = embedding_key(chunk["text_hash"], task.spec.encoder_hash)
    vectors, details = _vectors(settings, task, living)
    rows = [{**_living_row(chunk, vectors, task), **written} for chunk in living]
    return _append(settings, run_id, task, rows, ended, {**details, "chunks": len(chunks)})


def _vectors(
    settings: Settings, task: EmbeddingTask, living: Sequence[Mapping[str, Any]]
) -> tuple[_Vectors, Mapping[str, object]]:
    """Return the vector of each key: one that the lake has, of whatever row, or one encoded now; and what that took."""
    keys = sorted({chunk["embedding_key"] for chunk in living})
    known = _known_vectors(settings, task, keys) if task.pending.known_texts else {}
    texts = {chunk["embedding_key"]: chunk["text"] for chunk in living if chunk["embedding_key"] not in known}
    if not texts:
        return known, {"texts_encoded": 0}
    embedder = load_embedder(settings)
    started = time.perf_counter()
    encoded = embedder.encode(list(texts.values()))
    facts = {"shape": list(encoded.shape), "encoder_seconds": round(time.perf_counter() - started, 3)}
    get_logger(__name__).info("texts encoded", space=task.spec.space, chunks=task.pending.total, **facts)
    return {**known, **dict(zip(texts, encoded, strict=True))}, {"texts_encoded": len(texts), **facts}


def _known_vectors(settings: Settings, task: EmbeddingTask, keys: Sequence[str]) -> dict[str, Sequence[float]]:
    found = read.query(
        settings.lake_root,
        f"""SELECT embedding_key, any_value(embedding) AS embedding FROM {files_sql(settings.lake_root, task.table)}
        WHERE active AND embedding_key IN (SELECT embedding_key FROM wanted) GROUP BY embedding_key""",
        wanted=pa.table({"embedding_key": pa.array(keys, pa.string())}),
    )
    return dict(zip(found["embedding_key"].to_pylist(), found["embedding"].to_pylist(), strict=True))


def _living_row(chunk: Mapping[str, Any], vectors: _Vectors, task: EmbeddingTask) -> dict[str, Any]:
    return {
        "chunk_id": chunk["chunk_id"],
        "embedding_key": chunk["embedding_key"],
        "text_hash": chunk["text_hash"],
        "model_id": task.spec.model_id,
        "model_hash": task.spec.model_hash,
        "dim": task.spec.dim,
        "embedding": np.asarray(vectors[chunk["embedding_key"]], dtype=np.float32),
        "active": True,
        "event_timestamp": chunk["event_timestamp"],
        "document_id": chunk["document_id"],
    }


def _append(
    settings: Settings,
    run_id: str,
    task: EmbeddingTask,
    living: Sequence[Mapping[str, Any]],
    ended: Sequence[Mapping[str, Any]],
    details: Mapping[str, object],
) -> EmbeddedBatch:
    # Only here, because importing pyspark costs a second that tombstones should not pay.
    from spark_jobs import lake
    from spark_jobs.driver_frames import driver_frame
    from spark_jobs.persistence import planned_for_few_rows
    from spark_jobs.quality.audit import audit_candidates
    from spark_jobs.session import open_session

    spark, root = open_session(settings), settings.lake_root
    # With the document beside it, for quarantine to name.
    schema = arrow_schema(task.table).append(pa.field("document_id", pa.string()))
    rows = pa.Table.from_pylist([*living, *ended], schema=schema)
    candidates = driver_frame(spark, rows)
    parents = driver_frame(spark, living_chunks(settings, [row["chunk_id"] for row in living]))
    outcome = audit_candidates(spark, settings, run_id, task.step, task.table, candidates, parents)
    rejected = pa.array([chunk_id for (chunk_id,) in outcome.rejected_keys], pa.string())
    accepted = rows.filter(pc.invert(pc.is_in(rows["chunk_id"], rejected)))
    with planned_for_few_rows(spark):
        version = lake.append_few(spark, accepted, root, task.table, task.transaction)
    return EmbeddedBatch(version, outcome.rejected, outcome.ruleset_hash, details)


def living_chunks(settings: Settings, chunk_ids: Sequence[str]) -> pa.Table:
    """Return those of the chunks that live, as a table with a column chunk_id, and their source where rules ask."""
    root, wanted = settings.lake_root, pa.table({"chunk_id": pa.array(chunk_ids, pa.string())})
    living = f"({state_sql(SILVER_CHUNKS, 'chunks')})"
    if not sources_with_rules(settings, EMBEDDINGS):
        sql = f"SELECT chunk_id FROM {living} WHERE chunk_id IN (SELECT chunk_id FROM wanted)"
        return read.query(root, sql, chunks=SILVER_CHUNKS, wanted=wanted)
    sql = f"""SELECT c.chunk_id, d.source FROM {living} c
        LEFT JOIN ({state_sql(SILVER_DOCUMENTS, "documents")}) d USING (document_id)
        WHERE c.chunk_id IN (SELECT chunk_id FROM wanted)"""
    return read.query(root, sql, chunks=SILVER_CHUNKS, documents=SILVER_DOCUMENTS, wanted=wanted)
