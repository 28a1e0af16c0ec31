"""Preprocess: bronze versions that validate accepted become silver documents, chunks, stats and access rows.

Only documents that differ from bronze are read, and of their chunks only those that differ are written. What differs is
found without a JVM; when no text does, none is started.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS, DOCUMENT_ACCESS, QUARANTINE
from ragstone.lake.delta import append_rows, table_version
from ragstone.lake.ops import OK, UNCHANGED
from ragstone.lake.pending_documents import DocumentState
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from spark_jobs.document_task import DocumentTask, find_task
from spark_jobs.entrypoint import job_main

if TYPE_CHECKING:
    from spark_jobs.document_batch import WrittenBatch

STEP: Final = "preprocess"
_LOG_COLUMNS: Final = ("document_id", "source", "source_uri", "title", "char_count", "chunk_count", "token_count")

_log = get_logger(__name__)


def run(settings: Settings, run_id: str) -> StepResult:
    """Bring silver up to bronze. Counts are in documents; `watermark` is the last landing batch whose content counted.

    Raises QualityGateError when the chunks are no good; revocations are written all the same.
    """
    task = find_task(settings, STEP)
    # Whoever loses access loses it before anything can fail; whoever gains it, once there is something to read.
    closing, opening = _access_changes(task)
    written = _write_access(settings, task, closing, run_id)
    batch = _write_batch(settings, run_id, task) if task.to_write else None
    unreadable = batch.unreadable if batch else set()
    written += _write_access(settings, task, [s for s in opening if s.document_id not in unreadable], run_id)
    if batch is not None:
        _report(settings, run_id, task, batch)
    return _result(settings, task, batch, written, unreadable)


def main(argv: Sequence[str]) -> int:
    """Run this step as a command or under spark-submit and return the exit code."""
    return job_main(STEP, run, argv)


def _access_changes(task: DocumentTask) -> tuple[list[DocumentState], list[DocumentState]]:
    changed = [state for state in task.pending.differing if state.access_differs]
    opening = [state for state in changed if state.alive and not state.is_open]
    return [state for state in changed if not (state.alive and not state.is_open)], opening


def _write_access(settings: Settings, task: DocumentTask, states: Iterable[DocumentState], run_id: str) -> int:
    rows = [
        {
            "document_id": state.document_id,
            "acl": None if state.acl is None else list(state.acl),
            "active": state.alive,
            "event_timestamp": state.access_at,
            "created_timestamp": task.created_at,
            "run_id": run_id,
        }
        for state in states
    ]
    append_rows(settings.lake_root, DOCUMENT_ACCESS, rows)
    return len(rows)


def _write_batch(settings: Settings, run_id: str, task: DocumentTask) -> WrittenBatch:
    # Only here, because importing pyspark costs a second that an unchanged run should not pay.
    from spark_jobs.document_batch import write_batch

    return write_batch(settings, run_id, task)


def _report(settings: Settings, run_id: str, task: DocumentTask, batch: WrittenBatch) -> None:
    """Write logs/chunks-<run_id>.csv, one line per document read, and warn of each that is unreadable or gave none."""
    read = [state for state in task.to_write if state.alive]
    lines = []
    for state in read:
        summary = batch.summaries[state.document_id]
        facts = {"document_id": state.document_id, "source": state.source, "source_uri": state.source_uri}
        if summary.reason is not None:
            _log.warning("document set aside", reason=summary.reason, **facts)
        elif summary.chunk_count == 0:
            _log.warning("document gave no chunk", char_count=summary.char_count, **facts)
        if summary.reason is None:
            lines.append({**vars(summary), **facts})
    _write_csv(settings, run_id, lines)
    _log.info(
        "documents read",
        documents=len(lines),
        chunks=sum(line["chunk_count"] for line in lines),
        changed_chunks=sum(summary.changed_chunks for summary in batch.summaries.values()),
        set_aside=len(batch.unreadable),
    )


def _write_csv(settings: Settings, run_id: str, lines: Sequence[Mapping[str, Any]]) -> None:
    folder = settings.home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"chunks-{run_id}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _LOG_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines)


def _result(
    settings: Settings, task: DocumentTask, batch: WrittenBatch | None, access_rows: int, unreadable: set[str]
) -> StepResult:
    root, differing = settings.lake_root, len(task.pending.differing)
    versions = dict(batch.versions) if batch else {}
    if access_rows:
        versions[DOCUMENT_ACCESS.name] = table_version(root, DOCUMENT_ACCESS)
    return StepResult(
        step=STEP,
        status=OK if differing else UNCHANGED,
        unit="documents",
        accepted=differing - len(unreadable),
        unchanged=task.pending.total - differing,
        quarantined=len(unreadable),
        written=access_rows + (batch.written if batch else 0),
        tables_read={spec.name: table_version(root, spec) for spec in (BRONZE_DOCUMENTS, QUARANTINE)},
        tables_written=versions,
        watermark=task.accepted_batch,
        ruleset_hash=batch.ruleset_hash if batch else None,
        details={"rejected_chunks": batch.rejected_chunks, "access_rows": access_rows} if batch else {},
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
