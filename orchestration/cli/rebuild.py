"""`ragstone rebuild-bronze`: bronze made equal to the landing zone, for an interval or wholly."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit
from ragstone.contracts.records import StepResult

app = typer.Typer()

Start = Annotated[datetime | None, typer.Option("--from", help="Only what was landed at or after this time, in UTC.")]
End = Annotated[datetime | None, typer.Option("--to", help="Only what was landed before this time, in UTC.")]


@app.command("rebuild-bronze")
def rebuild_bronze(context: typer.Context, start: Start = None, end: End = None) -> None:
    """Replay the landing zone into bronze; rows that agree with it are left as they are."""
    from orchestration.runner import started_run_id, target
    from ragstone.lake.ops import recorded_run

    replayed = partial(target("spark_jobs.rebuild_bronze:rebuild_bronze"), start=_utc(start), end=_utc(end))
    options = invocation(context)
    result = recorded_run("rebuild-bronze", replayed, options.settings(), started_run_id())
    emit(options, result, lambda screen: screen.print(_told(result)))


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)


def _told(result: StepResult) -> str:
    facts = result.details
    return (
        f"{facts['batches']} landing batches, {result.rows_in:,} rows: {result.unchanged:,} as landed, "
        f"{result.written:,} written again (missing batches {facts['missing']}, differing {facts['wrong']})"
    )
