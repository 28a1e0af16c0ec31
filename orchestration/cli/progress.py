"""Progress of a run: a bar on a terminal; elsewhere the log lines of the steps themselves tell it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, track

from orchestration.pipeline import Step
from orchestration.runner import StepOutcome

T = TypeVar("T")


def watched(outcomes: Iterable[StepOutcome], steps: Sequence[Step]) -> Iterator[StepOutcome]:
    """Yield the outcomes as they come, showing on a terminal which of `steps` is at work."""
    errors = Console(stderr=True)
    return _with_bar(outcomes, steps, errors) if errors.is_terminal else iter(outcomes)


def _with_bar(outcomes: Iterable[StepOutcome], steps: Sequence[Step], console: Console) -> Iterator[StepOutcome]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(_at_work(steps, 0), total=len(steps))
        for done, outcome in enumerate(outcomes, start=1):
            progress.update(task, completed=done, description=_at_work(steps, done))
            yield outcome


def _at_work(steps: Sequence[Step], position: int) -> str:
    return f"{steps[position].name}: {steps[position].does}" if position < len(steps) else "done"


def counted(results: Iterable[T], total: int, doing: str) -> Iterator[T]:
    """Yield results as they come, showing on a terminal how many of `total` are there."""
    errors = Console(stderr=True)
    return iter(track(results, doing, total, console=errors, transient=True) if errors.is_terminal else results)
