"""Runs steps in one process, in order, each recorded in ops.runs; one Spark session serves them all."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from orchestration.pipeline import PIPELINE, Step
from ragstone.contracts.records import StepResult, new_run_id
from ragstone.runtime.settings import Settings


@dataclass(frozen=True)
class StepOutcome:
    """What one step did and how many seconds of wall time it took."""

    result: StepResult
    seconds: float


def started_run_id() -> str:
    """Return a run id for a run that starts now."""
    return new_run_id(datetime.now(UTC))


def run_steps(settings: Settings, run_id: str, steps: Sequence[Step] = PIPELINE) -> Iterator[StepOutcome]:
    """Run the steps in order and yield each outcome as it comes; the first error ends the run.

    Raises what the step raises, after its row in ops.runs is written.
    """
    with _spark_closed_afterwards():
        for step in steps:
            yield run_step(settings, run_id, step)


def run_step(settings: Settings, run_id: str, step: Step) -> StepOutcome:
    """Run one step, leaving a Spark session it opened to the steps that follow."""
    from ragstone.lake.ops import recorded_run

    started = time.perf_counter()
    result = recorded_run(step.name, target(step.target), settings, run_id)
    return StepOutcome(result, time.perf_counter() - started)


def target(name: str) -> Callable[..., Any]:
    """Return the function that a `module:function` name means, importing its module now."""
    module, _, function = name.partition(":")
    return cast(Callable[..., Any], getattr(importlib.import_module(module), function))


@contextmanager
def _spark_closed_afterwards() -> Iterator[None]:
    """Close the session that the run opened; one that was open before is somebody else's."""
    found_open = _spark_is_open()
    try:
        yield
    finally:
        if not found_open and _spark_is_open():
            target("spark_jobs.session:close_session")()


def _spark_is_open() -> bool:
    # A run in which nothing changed has not imported Spark, and must not do so to ask.
    return "spark_jobs.session" in sys.modules and bool(target("spark_jobs.session:session_is_open")())
