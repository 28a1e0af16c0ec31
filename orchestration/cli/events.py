"""`ragstone events`: what was asked, shown and judged."""

from __future__ import annotations

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit
from orchestration.cli.steps import outcome_table

app = typer.Typer(no_args_is_help=True, help="What was asked, shown and judged.")


@app.callback()
def _group() -> None:
    """What was asked, shown and judged."""


@app.command()
def drain(context: typer.Context) -> None:
    """Move retrieval events and feedback from Redis into the lake, each once, and count engagement from them."""
    from orchestration.pipeline import DRAIN
    from orchestration.runner import run_step, started_run_id

    options, run_id = invocation(context), started_run_id()
    outcome = run_step(options.settings(), run_id, DRAIN)
    document = {"run_id": run_id, "step": outcome}
    emit(options, document, lambda screen: screen.print(outcome_table([outcome], f"run {run_id}")))
