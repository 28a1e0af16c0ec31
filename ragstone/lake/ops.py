"""The record of what ran: one row per step run in ops.runs, and the outcomes and metrics of quality rules.

Rows are appended with deltalake, so recording costs no Spark action.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import QUALITY_METRICS, QUALITY_RESULTS, RUNS, STATIC_TABLES
from ragstone.lake import read
from ragstone.lake.delta import append_rows
from ragstone.lake.migrate import migrate_all
from ragstone.lake.rewrite import seal_interrupted
from ragstone.runtime import metrics
from ragstone.runtime.errors import DependencyUnavailableError, IndexGateError, QualityGateError
from ragstone.runtime.file_lock import exclusive
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from ragstone.runtime.tracing import span

StepFunction = Callable[[Settings, str], StepResult]
OK, UNCHANGED, BLOCKED, FAILED = "ok", "unchanged", "blocked", "failed"
SUCCEEDED: Final = (OK, UNCHANGED)

_log = get_logger(__name__)


def recorded_run(step: str, function: StepFunction, settings: Settings, run_id: str) -> StepResult:
    """Run a step and record how it went in ops.runs, with a span and metrics. An error is recorded and raised again.

    Waits while another process runs a step on the same home.
    """
    # Delta on a plain file system knows no two writers at once, so the steps of all processes take turns.
    with exclusive(settings.home / "writer.lock", lambda: _log.info("waiting for another run's step", step=step)):
        try:
            return _recorded(step, function, settings, run_id)
        except Exception as error:
            if _tells_of_a_full_disk(error):
                raise _disk_full(settings) from error
            raise


def _recorded(step: str, function: StepFunction, settings: Settings, run_id: str) -> StepResult:
    started_at = datetime.now(UTC)
    # Cheap and safe: only tables with declared steps are looked at, and a step adds a commit, never touches a row.
    migrate_all(settings.lake_root, STATIC_TABLES)
    seal_interrupted(settings.lake_root)
    with span(f"step {step}", run_id=run_id):
        try:
            result = function(settings, run_id)
        except Exception as error:
            status = BLOCKED if isinstance(error, QualityGateError | IndexGateError) else FAILED
            # A disk that is full must not hide the error that told of it.
            with suppress(Exception):
                _record(settings, run_id, StepResult(step, status, unit=""), started_at, str(error))
            raise
    _record(settings, run_id, result, started_at, None)
    _count(result)
    # A batch process ends before anybody could ask it, so its metrics are left where a node exporter collects them.
    metrics.write_batch_metrics(settings.home / "logs" / "metrics.prom")
    return result


def last_run(root: Path, step: str, status: str | Sequence[str] = SUCCEEDED) -> dict[str, Any] | None:
    """Return the newest row of ops.runs for a step with one of the statuses, `details` decoded, or None."""
    statuses = (status,) if isinstance(status, str) else status
    rows = read.query(
        root,
        "SELECT * FROM runs WHERE step = ? AND list_contains(?, status) ORDER BY started_at DESC LIMIT 1",
        (step, list(statuses)),
        runs=RUNS,
    ).to_pylist()
    return None if not rows else _decoded(rows[0])


def accepted_batch(root: Path) -> int:
    """Return the last landing batch that validate accepted, 0 when it never did: preprocess reads content up to it."""
    accepted = read.query(
        root,
        "SELECT max(watermark) AS watermark FROM runs WHERE step = 'validate' AND status IN ('ok', 'unchanged')",
        runs=RUNS,
    )
    return int(accepted["watermark"][0].as_py() or 0)


def append_quality_results(root: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    """Append rows to ops.quality_results and return its version."""
    return append_rows(root, QUALITY_RESULTS, rows)


def append_quality_metrics(root: Path, rows: Sequence[Mapping[str, Any]]) -> int:
    """Append rows to ops.quality_metrics and return its version."""
    return append_rows(root, QUALITY_METRICS, rows)


def _record(settings: Settings, run_id: str, result: StepResult, started_at: datetime, error: str | None) -> None:
    finished_at = datetime.now(UTC)
    seconds = (finished_at - started_at).total_seconds()
    metrics.PIPELINE_STEP_DURATION_SECONDS.labels(step=result.step).observe(seconds)
    row = {
        "run_id": run_id,
        "step": result.step,
        "status": result.status,
        "started_at": started_at,
        "finished_at": finished_at,
        "seconds": seconds,
        "unit": result.unit,
        "rows_in": result.rows_in,
        "accepted": result.accepted,
        "unchanged": result.unchanged,
        "quarantined": result.quarantined,
        "written": result.written,
        "tables_read": dict(result.tables_read),
        "tables_written": dict(result.tables_written),
        "watermark": result.watermark,
        "ruleset_hash": result.ruleset_hash,
        "details": json.dumps(result.details, ensure_ascii=False, default=str),
        "error": error,
    }
    append_rows(settings.lake_root, RUNS, [row])
    log = _log.info if error is None else _log.error
    log("step finished", run_id=run_id, step=result.step, status=result.status, seconds=round(seconds, 3))


def _tells_of_a_full_disk(error: BaseException | None) -> bool:
    """Return whether an error, or one behind it, is the operating system's, quoted by whatever language."""
    while error is not None:
        if os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _disk_full(settings: Settings) -> DependencyUnavailableError:
    return DependencyUnavailableError(
        "the disk is full; what was committed stays whole",
        where=str(settings.home),
        got=os.strerror(errno.ENOSPC),
        wanted="room for the step's new rows",
        next_step="free some space, then run the same command again",
    )


def _count(result: StepResult) -> None:
    counts = {name: getattr(result, name) for name in ("accepted", "unchanged", "quarantined", "written")}
    for outcome, count in counts.items():
        metrics.PIPELINE_ROWS.labels(step=result.step, outcome=outcome).inc(count)


def _decoded(row: dict[str, Any]) -> dict[str, Any]:
    decoded = {name: dict(row[name]) for name in ("tables_read", "tables_written")}
    return {**row, **decoded, "details": json.loads(row["details"])}
