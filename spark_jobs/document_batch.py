"""One batch of documents in Spark: read and cut in one pass, audit the chunks, append.

The row of silver.documents is appended last: until it is there the document counts as not written, so a run that dies
in between is made good by the next, which finds the chunks it would add already there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pyspark.sql import DataFrame, Row, SparkSession

from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS, SILVER_DOCUMENTS, TableSpec
from ragstone.lake import quarantine, read
from ragstone.lake.delta import append_rows
from ragstone.lake.pending_documents import DocumentState, known_chunks
from ragstone.runtime.settings import Settings
from spark_jobs import lake
from spark_jobs.document_task import DocumentTask, balanced
from spark_jobs.document_versions import Writing
from spark_jobs.persistence import persisted
from spark_jobs.quality.audit import audit_candidates
from spark_jobs.session import open_session
from spark_jobs.transforms.documents import ITEM_SCHEMA, SUMMARY, chunk_rows, document_rows, read_documents

# What tells one writing of a row from another, and nothing about the document.
_WRITTEN: Final = ("created_timestamp", "run_id")


@dataclass(frozen=True)
class WrittenBatch:
    """What became of a batch: a summary per document read, by document_id, and what was appended.

    A summary with a `reason` is of a document that could not be read. `written` counts rows, tombstones included.
    """

    summaries: Mapping[str, Row]
    rejected_chunks: int
    written: int
    versions: Mapping[str, int]
    ruleset_hash: str | None

    @property
    def unreadable(self) -> set[str]:
        """Return the documents that were set aside."""
        return {document_id for document_id, summary in self.summaries.items() if summary.reason is not None}


def write_batch(settings: Settings, run_id: str, task: DocumentTask) -> WrittenBatch:
    """Write chunks, stats and documents of every document that differs.

    Unreadable documents go to quarantine. Raises QualityGateError when the chunks are no good, and then writes none.
    """
    spark, root = open_session(settings), settings.lake_root
    writing = Writing(settings.landing_root, task.recipe, task.created_at, run_id)
    with persisted(read_documents(_items(spark, root, task.to_write), writing)) as versions:
        summaries = {row.document_id: row for row in versions.select(*SUMMARY).collect()}
        _set_aside(root, task, summaries, run_id)
        batch = _Appends(root, task)
        rejected, ruleset_hash = _append_chunks(spark, settings, run_id, versions, summaries, batch)
        batch.append_small(DOCUMENT_STATS, _changed_stats(root, task, summaries, writing))
        readable = sum(summary.reason is None for summary in summaries.values())
        batch.append(SILVER_DOCUMENTS, document_rows(versions), readable)
    return WrittenBatch(summaries, rejected, batch.written, batch.versions, ruleset_hash)


class _Appends:
    """Appends to several tables under one task, counting rows and keeping versions."""

    def __init__(self, root: Path, task: DocumentTask) -> None:
        self._root, self._task, self.step = root, task, task.step
        self.written = 0
        self.versions: dict[str, int] = {}

    def append(self, spec: TableSpec, rows: DataFrame, count: int) -> None:
        # An empty append would make a version, and a version makes the next steps look for changes.
        if count:
            transaction = self._task.transaction(self._root, spec)
            self._record(spec, lake.append(rows, self._root, spec, transaction), count)

    def append_small(self, spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> None:
        if rows:
            transaction = self._task.transaction(self._root, spec)
            self._record(spec, append_rows(self._root, spec, rows, transaction), len(rows))

    def _record(self, spec: TableSpec, version: int, count: int) -> None:
        self.versions[spec.name] = version
        self.written += count


def _items(spark: SparkSession, root: Path, states: Sequence[DocumentState]) -> DataFrame:
    """Return the items to read, as many partitions as cores, each with as much to read."""
    known = known_chunks(root, [state.document_id for state in states])
    parts = min(spark.sparkContext.defaultParallelism, len(states))
    items = [
        (
            state.document_id,
            state.alive,
            state.source,
            state.source_uri,
            state.source_modified_at,
            state.content_hash,
            state.mime_type,
            state.landing_uri,
            state.event_timestamp,
            known.get(state.document_id, []),
        )
        for state in balanced(states, parts)
    ]
    return spark.createDataFrame(spark.sparkContext.parallelize(items, parts), ITEM_SCHEMA, verifySchema=False)


def _append_chunks(
    spark: SparkSession,
    settings: Settings,
    run_id: str,
    versions: DataFrame,
    summaries: Mapping[str, Row],
    batch: _Appends,
) -> tuple[int, str | None]:
    """Audit and append the chunk rows that differ; return how many were set aside and the identity of the rules."""
    changed = sum(summary.changed_chunks for summary in summaries.values())
    if not changed:
        return 0, None
    candidates = chunk_rows(versions)
    living = document_rows(versions).filter("active").select("document_id")
    outcome = audit_candidates(spark, settings, run_id, batch.step, SILVER_CHUNKS, candidates, living)
    batch.append(SILVER_CHUNKS, outcome.accepted, changed - outcome.rejected)
    return outcome.rejected, outcome.ruleset_hash or None


def _set_aside(root: Path, task: DocumentTask, summaries: Mapping[str, Row], run_id: str) -> None:
    """Put unreadable documents into quarantine and close the entries of those that have a readable version now."""
    rejections = [
        Rejection(
            step=task.step,
            dataset=SILVER_DOCUMENTS.name,
            item_key=state.document_id,
            document_id=state.document_id,
            content_hash=state.content_hash,
            reason=summaries[state.document_id].reason,
            payload_pointer=state.landing_uri,
        )
        for state in task.to_write
        if summaries[state.document_id].reason is not None
    ]
    quarantine.set_aside(root, rejections, run_id)
    rejected = {rejection.document_id for rejection in rejections}
    mended = [
        entry["entry_id"]
        for entry in quarantine.open_entries(root, task.step).to_pylist()
        if entry["dataset"] == SILVER_DOCUMENTS.name and entry["document_id"] in summaries.keys() - rejected
    ]
    quarantine.resolve(root, mended, run_id)


def _changed_stats(
    root: Path, task: DocumentTask, summaries: Mapping[str, Row], writing: Writing
) -> list[Mapping[str, Any]]:
    """Return the stats rows of readable documents, but for those a run that died has written already."""
    names = ", ".join(f"'{state.document_id}'" for state in task.to_write)
    newest = read.newest_rows(root, DOCUMENT_STATS, where=f"document_id IN ({names})").to_pylist()
    known = {row["document_id"]: {**row, **dict.fromkeys(_WRITTEN)} for row in newest}
    rows = [
        _stats_row(state, summaries[state.document_id], writing)
        for state in task.to_write
        if summaries[state.document_id].reason is None
    ]
    return [row for row in rows if known.get(row["document_id"]) != {**row, **dict.fromkeys(_WRITTEN)}]


def _stats_row(state: DocumentState, summary: Row, writing: Writing) -> dict[str, Any]:
    """Return a document's row of document_stats: the features of its version, or a tombstone."""
    version = {
        **dict.fromkeys(DOCUMENT_STATS.column_names),
        "document_id": state.document_id,
        "active": state.alive,
        "event_timestamp": state.event_timestamp,
        "created_timestamp": writing.created_at,
        "run_id": writing.run_id,
    }
    if not state.alive:
        return version
    return {
        **version,
        "title": summary.title,
        "source": state.source,
        "source_uri": state.source_uri,
        "language": summary.language,
        "source_modified_at": state.source_modified_at,
        "char_count": summary.char_count,
        "chunk_count": summary.chunk_count,
        "token_count": summary.token_count,
        "change_count": state.versions,
    }
