"""`ragstone eval`: a judged folder, through the product's own pipeline."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table

if TYPE_CHECKING:
    from ragstone.runtime.settings import Settings

app = typer.Typer()

JudgedFolder = Annotated[Path, typer.Argument(help="corpus.jsonl, queries.jsonl, qrels.tsv; plain or .gz.")]


@app.command("eval")
def evaluate(
    context: typer.Context,
    folder: JudgedFolder,
    join_titles: Annotated[bool, typer.Option("--join-titles", help="Take documents of one title as one.")] = False,
) -> None:
    """Take a folder in BEIR form through the pipeline, in a home of its own, and measure how well it is found."""
    from serving.evaluation.evaluate import evaluate as measure

    options = invocation(context)
    measured = measure(options.settings(), folder, run_pipeline, join_titles=join_titles)

    def show(screen: Console) -> None:
        values = dataclasses.asdict(measured)
        shown = [(name, f"{value:.4f}" if isinstance(value, float) else str(value)) for name, value in values.items()]
        screen.print(table(None, ("measure", "value"), shown))

    emit(options, measured, show)


def run_pipeline(settings: Settings) -> None:
    """Run every step over a home."""
    from orchestration.cli.progress import watched
    from orchestration.pipeline import PIPELINE
    from orchestration.runner import run_steps, started_run_id

    for _ in watched(run_steps(settings, started_run_id()), PIPELINE):
        pass
