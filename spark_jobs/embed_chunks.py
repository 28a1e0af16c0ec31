"""Embed: every living chunk gets the vector of its text in the configured space, every vanished one a tombstone.

Each distinct text is encoded once, and only when the lake has no vector of it. What is to be done is found without a
JVM; when that is nothing, none is started.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.cost import Estimate, check_cost, estimate
from ragstone.lake.ops import OK, UNCHANGED
from ragstone.lake.quarantine_settling import settle_chunks
from ragstone.lake.unknown_texts import unknown_texts
from ragstone.runtime.settings import Settings
from spark_jobs.embedded_batch import EmbeddedBatch
from spark_jobs.embedding_task import EmbeddingTask, find_task
from spark_jobs.embeddings_here import embed_here, fits_here
from spark_jobs.entrypoint import job_main

STEP: Final = "embed"


def run(settings: Settings, run_id: str) -> StepResult:
    """Embed what waits. Counts are in chunks; rows written are vectors and tombstones.

    Raises ConfigError when the space holds vectors of another encoder, UsageError when encoding would cost more than is
    allowed, QualityGateError when the batch is no good, and what the encoder raises, in a worker or here: mostly
    DependencyUnavailableError or ContractError. Nothing is written then.
    """
    task = find_task(settings, STEP)
    pending, tables_read = task.pending, {SILVER_CHUNKS.name: task.chunk_version}
    settle_chunks(settings.lake_root, STEP, task.table, run_id)
    if task.is_done:
        return StepResult(STEP, UNCHANGED, unit="chunks", unchanged=pending.living, tables_read=tables_read)
    expected = _expected(settings, task)
    if expected is not None:
        check_cost(expected, settings.embedding.max_cost)
    batch = _embed(settings, run_id, task)
    taken = pending.total - batch.rejected
    return StepResult(
        STEP,
        OK,
        unit="chunks",
        accepted=taken,
        unchanged=pending.living - pending.to_embed,
        quarantined=batch.rejected,
        written=taken,
        tables_read=tables_read,
        tables_written={task.table.name: batch.version},
        ruleset_hash=batch.ruleset_hash,
        details={
            **batch.details,
            "followed": "all chunks" if task.changed is None else "change feed",
            **({"expected": asdict(expected)} if expected else {}),
        },
    )


def _expected(settings: Settings, task: EmbeddingTask) -> Estimate | None:
    """Return what encoding will cost, None where it costs nothing and no limit is set."""
    if settings.embedding.max_cost is None and settings.embedding.served.price_per_million_tokens is None:
        return None
    waiting = unknown_texts(settings.lake_root, task.table, task.chunk_version)
    return estimate(settings, waiting.texts, waiting.size_bytes)


def _embed(settings: Settings, run_id: str, task: EmbeddingTask) -> EmbeddedBatch:
    if fits_here(settings, task):
        return embed_here(settings, run_id, task)
    # Only here, because importing pyspark costs a second that a small batch should not pay.
    from spark_jobs.embedding_batch import embed_batch

    return embed_batch(settings, run_id, task)


def main(argv: Sequence[str]) -> int:
    """Run this step as a command or under spark-submit and return the exit code."""
    return job_main(STEP, run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
