"""One batch of documents: read and cut, audit the chunks, append.

The row of silver.documents is appended last: until it is there the document counts as not written, so a run that dies
in between is made good by the next, which finds the chunks it would add already there.

Tombstones need no reading, nor do documents of which only what their source says has changed; what has to be read is
read here when it is little, and by workers when it is much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS, SILVER_DOCUMENTS, TableSpec
from ragstone.lake import quarantine, read
from ragstone.lake.delta import append_rows
from ragstone.lake.pending_documents import DocumentState
from ragstone.lake.quarantine_settling import settle_read_chunks
from ragstone.runtime.settings import Settings
from spark_jobs import small_batches
from spark_jobs.document_task import DocumentTask
from spark_jobs.document_versions import Writing

# What tells one writing of a row from another, and nothing about the document.
_WRITTEN: Final = ("created_timestamp", "run_id")


@dataclass(frozen=True)
class Summary:
    """What is said of one document that was read: its title, language and counts, or the `reason` why it was not."""

    document_id: str
    reason: str | None
    title: str | None
    language: str | None
    char_count: int | None
    chunk_count: int | None
    token_count: int | None
    changed_chunks: int


def chunk_counts(summaries: Mapping[str, Summary]) -> dict[str, int]:
    """Return how many chunks each document gives that lives and could be read, by document_id."""
    return {key: summary.chunk_count for key, summary in summaries.items() if summary.chunk_count is not None}


class Versions(Protocol):
    """Documents as they were read, wherever that was: a summary of each by document_id, and the rows they add."""

    @property
    def summaries(self) -> Mapping[str, Summary]:
        """Return what is said of each document."""
        ...

    def append_chunks(self, appends: Appends) -> tuple[set[str], str | None]:
        """Audit and append the chunk rows that differ; return the ids set aside and the identity of the rules."""
        ...

    def append_documents(self, appends: Appends) -> None:
        """Append the rows of silver.documents of the documents that could be read, tombstones included."""
        ...


@dataclass(frozen=True)
class WrittenBatch:
    """What became of a batch: a summary per document read, by document_id, and what was appended.

    A summary with a `reason` is of a document that could not be read. `written` counts rows, tombstones included.
    """

    summaries: Mapping[str, Summary]
    rejected_chunks: int
    written: int
    versions: Mapping[str, int]
    ruleset_hash: str | None

    @property
    def unreadable(self) -> set[str]:
        """Return the documents that were set aside."""
        return {document_id for document_id, summary in self.summaries.items() if summary.reason is not None}


class Appends:
    """Appends to several tables under one task, counting rows and keeping versions."""

    def __init__(self, root: Path, task: DocumentTask) -> None:
        self.root, self._task, self.step = root, task, task.step
        self.written = 0
        self.versions: dict[str, int] = {}

    def transaction(self, spec: TableSpec) -> tuple[str, int] | None:
        """Return the transaction to append to a table under, None when it has been committed before."""
        return self._task.transaction(self.root, spec)

    def append(self, spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append rows; none makes no version, which would make the next steps look for changes."""
        if rows:
            self.record(spec, append_rows(self.root, spec, rows, self.transaction(spec)), len(rows))

    def record(self, spec: TableSpec, version: int, rows: int) -> None:
        """Count rows that were appended, and keep the version that has them."""
        self.versions[spec.name] = version
        self.written += rows


def write_batch(settings: Settings, run_id: str, task: DocumentTask) -> WrittenBatch:
    """Write chunks, stats and documents of every document that differs.

    Unreadable documents go to quarantine. Raises QualityGateError when the chunks are no good, and then writes none.
    """
    root, writing = (
        settings.lake_root,
        Writing(settings.landing_root, task.recipe, task.created_at, run_id, settings.parsing),
    )
    appends, summaries = Appends(root, task), dict[str, Summary]()
    rejected, ruleset_hash = 0, None
    for states, reading in _readings(settings, task.to_write, writing):
        with reading as versions:
            _set_aside(root, task.step, states, versions.summaries, run_id)
            rejected_here, hash_here = versions.append_chunks(appends)
            read_here = {state.document_id for state in states if state.has_to_be_read}
            readable = read_here - {key for key, summary in versions.summaries.items() if summary.reason is not None}
            settle_read_chunks(root, task.step, readable, rejected_here, run_id)
            appends.append(DOCUMENT_STATS, _changed_stats(root, states, versions.summaries, writing))
            versions.append_documents(appends)
        summaries.update(versions.summaries)
        rejected, ruleset_hash = rejected + len(rejected_here), hash_here or ruleset_hash
    return WrittenBatch(summaries, rejected, appends.written, appends.versions, ruleset_hash)


def _readings(
    settings: Settings, states: Sequence[DocumentState], writing: Writing
) -> Iterator[tuple[Sequence[DocumentState], AbstractContextManager[Versions]]]:
    """Yield documents and how they are read: here where that costs little, by workers the rest."""
    from spark_jobs.documents_here import VersionsHere

    here = states if _is_little_to_read(states) else [state for state in states if not state.has_to_be_read]
    if here and small_batches.exist(settings.lake_root, SILVER_DOCUMENTS, SILVER_CHUNKS):
        yield here, nullcontext(VersionsHere.read(settings, here, writing))
    else:
        here = []
    if len(here) < len(states):
        # Only here, because importing pyspark costs a second that a few documents should not pay.
        from spark_jobs.documents_by_workers import versions_by_workers

        known = {state.document_id for state in here}
        rest = [state for state in states if state.document_id not in known]
        yield rest, versions_by_workers(settings, rest, writing)


def _is_little_to_read(states: Sequence[DocumentState]) -> bool:
    sizes = [state.size_bytes or 0 for state in states if state.has_to_be_read]
    return len(sizes) <= small_batches.MAX_DOCUMENTS and sum(sizes) <= small_batches.MAX_CONTENT_BYTES


def _set_aside(
    root: Path, step: str, states: Sequence[DocumentState], summaries: Mapping[str, Summary], run_id: str
) -> None:
    """Put unreadable documents into quarantine and close the entries of those that have a readable version now."""
    rejections = [
        Rejection(
            step=step,
            dataset=SILVER_DOCUMENTS.name,
            item_key=state.document_id,
            document_id=state.document_id,
            content_hash=state.content_hash,
            reason=summaries[state.document_id].reason or "",
            payload_pointer=state.landing_uri,
        )
        for state in states
        if summaries[state.document_id].reason is not None
    ]
    quarantine.set_aside(root, rejections, run_id)
    rejected = {rejection.document_id for rejection in rejections}
    mended = [
        entry["entry_id"]
        for entry in quarantine.open_entries(root, step).to_pylist()
        if entry["dataset"] == SILVER_DOCUMENTS.name and entry["document_id"] in summaries.keys() - rejected
    ]
    quarantine.resolve(root, mended, run_id)


def _changed_stats(
    root: Path, states: Sequence[DocumentState], summaries: Mapping[str, Summary], writing: Writing
) -> list[Mapping[str, Any]]:
    """Return the stats rows of readable documents, but for those a run that died has written already."""
    names = ", ".join(f"'{state.document_id}'" for state in states)
    newest = read.newest_rows(root, DOCUMENT_STATS, where=f"document_id IN ({names})").to_pylist()
    known = {row["document_id"]: {**row, **dict.fromkeys(_WRITTEN)} for row in newest}
    rows = [
        _stats_row(state, summaries[state.document_id], writing)
        for state in states
        if summaries[state.document_id].reason is None
    ]
    return [row for row in rows if known.get(row["document_id"]) != {**row, **dict.fromkeys(_WRITTEN)}]


def _stats_row(state: DocumentState, summary: Summary, writing: Writing) -> dict[str, Any]:
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
