"""Many documents, read and cut by Spark's workers in one pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from pyspark.sql import DataFrame, SparkSession

from ragstone.contracts.tables import SILVER_CHUNKS, SILVER_DOCUMENTS, TableSpec
from ragstone.lake.chunk_counts import chunk_count_facts
from ragstone.lake.pending_documents import DocumentState, known_chunks
from ragstone.runtime.settings import Settings
from spark_jobs import lake
from spark_jobs.document_batch import Appends, Summary, chunk_counts
from spark_jobs.document_task import balanced
from spark_jobs.document_versions import Writing
from spark_jobs.persistence import persisted
from spark_jobs.quality.audit import audit_candidates
from spark_jobs.session import open_session
from spark_jobs.transforms.documents import ITEM_FACTS, ITEM_SCHEMA, SUMMARY, chunk_rows, document_rows, read_documents


@contextmanager
def versions_by_workers(settings: Settings, states: Sequence[DocumentState], writing: Writing) -> Iterator[_Versions]:
    """Lend documents as workers have read them; what they read is kept for the length of the block."""
    spark = open_session(settings)
    with persisted(read_documents(_items(spark, settings, states), writing)) as versions:
        yield _Versions(settings, writing.run_id, versions)


class _Versions:
    """What workers read: `versions` has one row per document."""

    def __init__(self, settings: Settings, run_id: str, versions: DataFrame) -> None:
        self._settings, self._run_id, self._versions = settings, run_id, versions
        rows = versions.select(*SUMMARY).collect()
        self.summaries: Mapping[str, Summary] = {row.document_id: Summary(**row.asDict()) for row in rows}

    def append_chunks(self, appends: Appends) -> tuple[set[str], str | None]:
        """Audit and append the chunk rows that differ, as `Versions` says."""
        changed = sum(summary.changed_chunks for summary in self.summaries.values())
        if not changed:
            return set(), None
        candidates = chunk_rows(self._versions)
        living = document_rows(self._versions).filter("active").select("document_id", "source", "language")
        facts = chunk_count_facts(self._settings.lake_root, chunk_counts(self.summaries))
        outcome = audit_candidates(
            candidates.sparkSession,
            self._settings,
            self._run_id,
            appends.step,
            SILVER_CHUNKS,
            candidates,
            living,
            facts,
        )
        self._append(appends, SILVER_CHUNKS, outcome.accepted, changed - outcome.rejected)
        return {key for (key,) in outcome.rejected_keys}, outcome.ruleset_hash or None

    def append_documents(self, appends: Appends) -> None:
        """Append the rows of silver.documents, as `Versions` says."""
        readable = sum(summary.reason is None for summary in self.summaries.values())
        self._append(appends, SILVER_DOCUMENTS, document_rows(self._versions), readable)

    def _append(self, appends: Appends, spec: TableSpec, rows: DataFrame, count: int) -> None:
        # An empty append would make a version, and a version makes the next steps look for changes.
        if count:
            appends.record(spec, lake.append(rows, appends.root, spec, appends.transaction(spec)), count)


def _items(spark: SparkSession, settings: Settings, states: Sequence[DocumentState]) -> DataFrame:
    """Return the items to read, as many partitions as cores, each with as much to read."""
    known = known_chunks(settings.lake_root, [state.document_id for state in states])
    parts = min(spark.sparkContext.defaultParallelism, len(states))
    items = [
        (*(getattr(state, name) for name in ITEM_FACTS), known.get(state.document_id, []))
        for state in balanced(states, parts)
    ]
    return spark.createDataFrame(spark.sparkContext.parallelize(items, parts), ITEM_SCHEMA, verifySchema=False)
