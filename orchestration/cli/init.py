"""`ragstone init`: from a folder of one's own to a first answer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import Invocation, invocation
from orchestration.cli.output import console, emit, table

if TYPE_CHECKING:
    from orchestration.runner import StepOutcome
    from serving.answering import Answer

app = typer.Typer()


@app.command()
def init(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="A folder with txt, md, rst or html files.")],
    name: Annotated[str | None, typer.Option(help="Name of the source; the folder's by default.")] = None,
    group: Annotated[list[str] | None, typer.Option(help="Who may read it; public by default. Repeatable.")] = None,
    question: Annotated[str | None, typer.Option(help="The first question; asked for on a terminal.")] = None,
    run: Annotated[bool, typer.Option(help="Run the pipeline now.")] = True,
) -> None:
    """Set a home up for your own documents: write its conf, say what was found, run, ask a first question."""
    from orchestration.init_home import add_source, survey

    options = invocation(context)
    settings = options.settings()
    added = add_source(settings, folder, name, tuple(group or ("public",)))
    settings = options.settings()
    found = survey(settings, added.name)
    if not options.as_json:
        _show_found(console(), added.conf, found.taken, found.left, found.taken_bytes)
    outcomes = _run(options) if run else []
    answer = _first_answer(options, question) if run else None

    def show(screen: Console) -> None:
        from orchestration.cli.steps import outcome_table

        if outcomes:
            screen.print(outcome_table(outcomes))
        if answer is not None:
            from orchestration.cli.ask import show_answer

            show_answer(screen, answer)
        home = f"--home {settings.home} " if settings.home != Path(".ragstone").absolute() else ""
        screen.print(f"next: ragstone {home}ask QUESTION · ragstone {home}serve · ragstone {home}why QUESTION")

    emit(options, {"source": added, "found": found, "steps": outcomes, "answer": answer}, show)


def _show_found(screen: Console, conf: Path, taken: dict[str, int], left: dict[str, int], taken_bytes: int) -> None:
    screen.print(f"wrote {conf}", soft_wrap=True)
    rows = [(suffix, count, "taken") for suffix, count in taken.items()]
    rows += [(suffix, count, "left: no include pattern takes it") for suffix, count in left.items()]
    screen.print(table(f"Found {sum(taken.values()):,} documents, {taken_bytes:,} bytes", ("kind", "files", ""), rows))


def _run(options: Invocation) -> list[StepOutcome]:
    from orchestration.cli.progress import watched
    from orchestration.pipeline import PIPELINE
    from orchestration.runner import run_steps, started_run_id

    return list(watched(run_steps(options.settings(), started_run_id()), PIPELINE))


def _first_answer(options: Invocation, question: str | None) -> Answer | None:
    from orchestration.cli.ask import answer_in_process

    if question is None and not options.as_json and sys.stdin.isatty():
        question = typer.prompt("Your first question (empty to leave it)", default="", show_default=False)
    return answer_in_process(options.settings(), question, ()) if question else None
