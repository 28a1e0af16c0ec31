"""Rebuild bronze from the landing zone: a repair, not a step of the pipeline. Only a lost table needs a JVM."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake.delta import ABSENT, table_version
from ragstone.lake.documents import pending_batches
from ragstone.lake.replay import Replay, replay_landing
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings

STEP: Final = "rebuild-bronze"


def rebuild_bronze(
    settings: Settings, run_id: str, start: datetime | None = None, end: datetime | None = None
) -> StepResult:
    """Make bronze.documents equal to the landing zone for an interval of fetched_at, or wholly; counts are in rows.

    Rows that agree are unchanged, batches that lack or differ are written again in one commit. A table that is gone is
    created anew. Raises UsageError for an interval of a table that is gone, ContractError for an unreadable one.
    """
    _ = run_id  # every step has this signature
    if start is not None and end is not None and start >= end:
        raise UsageError("the interval is empty", got=f"{start} to {end}", wanted="a --from before --to")
    if table_version(settings.lake_root, BRONZE_DOCUMENTS) != ABSENT:
        return _result(settings, replay_landing(settings, start, end))
    if start is not None or end is not None:
        raise UsageError(
            "there is no bronze.documents, so it can only be rebuilt as a whole",
            where=str(settings.lake_root),
            next_step="ragstone rebuild-bronze, without --from and --to",
        )
    return _result(settings, _create(settings))


def _create(settings: Settings) -> Replay:
    batches = pending_batches(settings)
    rows = sum(len(batch.envelopes) for batch in batches)
    numbers = tuple(batch.number for batch in batches)
    if numbers:
        from spark_jobs.bronze import follow_landing

        follow_landing(settings, numbers)
    return Replay(len(batches), rows, numbers, (), rows)


def _result(settings: Settings, replay: Replay) -> StepResult:
    version = {BRONZE_DOCUMENTS.name: table_version(settings.lake_root, BRONZE_DOCUMENTS)} if replay.written else {}
    return StepResult(
        step=STEP,
        status="ok" if replay.written else "unchanged",
        unit="rows",
        accepted=replay.written,
        unchanged=replay.rows - replay.written,
        written=replay.written,
        tables_written=version,
        details={"batches": replay.batches, "missing": list(replay.missing), "wrong": list(replay.wrong)},
    )
