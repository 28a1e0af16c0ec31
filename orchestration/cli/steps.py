"""`ragstone run` and one command per step."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType

from orchestration.cli.invocation import Invocation, invocation
from orchestration.cli.output import emit, table
from orchestration.cli.progress import watched
from orchestration.pipeline import steps_between
from orchestration.runner import StepOutcome, run_steps, started_run_id, target

app = typer.Typer()

AllowDeletes = Annotated[bool, typer.Option("--allow-deletes", help="Let this run delete any share of a source.")]
Follow = Annotated[bool, typer.Option("--follow", help="Then take what topics bring, until SIGTERM or Ctrl-C.")]
FirstStep = Annotated[str | None, typer.Option("--from", help="Begin with this step.")]
LastStep = Annotated[str | None, typer.Option("--to", help="End with this step.")]

Space = Annotated[str | None, typer.Option("--space", help="Fill this space instead of the served one.")]
MaxCost = Annotated[float | None, typer.Option("--max-cost", help="Send nothing when it would cost more than this.")]


@app.command()
def run(
    context: typer.Context, first: FirstStep = None, last: LastStep = None, allow_deletes: AllowDeletes = False
) -> None:
    """Run the pipeline, or a stretch of it, in one process."""
    run_stretch(invocation(context), first, last, **_deletions(allow_deletes))


@app.command()
def ingest(context: typer.Context, allow_deletes: AllowDeletes = False, follow: Follow = False) -> None:
    """Land new, changed and vanished items of every source, and append them to bronze."""
    if follow:
        target("spark_jobs.follow_topics:follow")(invocation(context).settings(**_deletions(allow_deletes)))
    else:
        run_stretch(invocation(context), "ingest", "ingest", **_deletions(allow_deletes))


@app.command()
def validate(context: typer.Context) -> None:
    """Hold bronze documents against their rules; exit code 3 when a gate rule fails."""
    run_stretch(invocation(context), "validate", "validate")


@app.command()
def preprocess(context: typer.Context) -> None:
    """Parse, normalise and chunk accepted documents into silver tables."""
    run_stretch(invocation(context), "preprocess", "preprocess")


@app.command()
def embed(context: typer.Context, space: Space = None, max_cost: MaxCost = None) -> None:
    """Encode the chunk texts that the lake does not know yet."""
    from orchestration.spaces import check_known

    options = invocation(context)
    embedding: dict[str, Any] = {}
    if space is not None:
        check_known(options.settings(), space)
        embedding["space"] = space
    if max_cost is not None:
        embedding["max_cost"] = max_cost
    run_stretch(options, "embed", "embed", **({"embedding": embedding} if embedding else {}))


@app.command()
def materialize(context: typer.Context) -> None:
    """Apply feature definitions, bring features online, sweep dead keys."""
    run_stretch(invocation(context), "materialize", "materialize")


def outcome_table(outcomes: list[StepOutcome], title: str | None = None) -> RenderableType:
    """Return a table of outcomes: rows in, accepted, unchanged, rejected, written, and seconds of each step."""
    columns = ("step", "status", "unit", "rows in", "accepted", "unchanged", "rejected", "written", "seconds")
    return table(title, columns, (_row(outcome) for outcome in outcomes))


def _row(outcome: StepOutcome) -> tuple[object, ...]:
    done = outcome.result
    counts = (done.rows_in, done.accepted, done.unchanged, done.quarantined, done.written)
    return (done.step, done.status, done.unit, *counts, outcome.seconds)


def run_stretch(options: Invocation, first: str | None, last: str | None, **arguments: Any) -> None:
    """Run the steps from `first` to `last`, show or write what they did."""
    steps = steps_between(first, last)
    settings = options.settings(**arguments)
    run_id = started_run_id()
    outcomes = list(watched(run_steps(settings, run_id, steps), steps))

    def show(console: Console) -> None:
        console.print(outcome_table(outcomes, f"run {run_id}"))

    emit(options, {"run_id": run_id, "steps": outcomes}, show)


def _deletions(allowed: bool) -> dict[str, Any]:
    return {"ingest": {"max_deleted_share": 1.0}} if allowed else {}
