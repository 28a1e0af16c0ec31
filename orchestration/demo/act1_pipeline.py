"""Act 1: from files to a published index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from orchestration.demo.corpus import Exported
from orchestration.demo.stage import Act, Panel, Stage, check
from orchestration.runner import StepOutcome, run_steps, started_run_id

COLUMNS: Final = ("step", "status", "unit", "rows in", "rows out", "unchanged", "rejected", "written", "seconds")
_MOST_CHUNKS: Final = 1_050


def play(exported: Exported, outcomes: list[StepOutcome]) -> Act:
    """Show the first run of the pipeline; `outcomes` are its steps in order. Raises DemoError."""
    files = sum(exported.documents.values())
    by_step = {outcome.result.step: outcome.result for outcome in outcomes}
    check(by_step["ingest"].accepted == files, "not every file arrived", got=by_step["ingest"].accepted, wanted=files)
    idle = [result.step for result in by_step.values() if result.status != "ok"]
    check(not idle, "a step had nothing to do on a first run", got=idle, wanted="every step ok")
    chunks = by_step["embed"].rows_in
    check(0 < chunks <= _MOST_CHUNKS, "the corpus has another size", got=chunks, wanted=f"1 to {_MOST_CHUNKS} chunks")
    indexed = by_step["index"].accepted
    check(indexed == by_step["embed"].accepted, "not every chunk is indexed", got=indexed, wanted=chunks)
    corpus = Panel(
        "The documents",
        ("kind", "files", "characters"),
        [(kind, exported.documents[kind], exported.characters[kind]) for kind in exported.documents],
    )
    said = f"all {files} files landed; {chunks} chunks were embedded and all of them are in the published index"
    return Act(1, "From files to a published index", (corpus, steps_panel(outcomes)), (said,), total_seconds(outcomes))


def run_pipeline(stage: Stage) -> list[StepOutcome]:
    """Run all steps once, showing progress; return what each did."""
    from orchestration.cli.progress import watched
    from orchestration.pipeline import PIPELINE

    return list(watched(run_steps(stage.settings, started_run_id()), PIPELINE))


def steps_panel(outcomes: Iterable[StepOutcome]) -> Panel:
    """Return the table of a run: what each step read, took, left and set aside, and its seconds."""
    rows = []
    for outcome in outcomes:
        done = outcome.result
        counts = (done.rows_in, done.accepted, done.unchanged, done.quarantined, done.written)
        rows.append((done.step, done.status, done.unit, *counts, outcome.seconds))
    return Panel("The steps", COLUMNS, rows)


def total_seconds(outcomes: Iterable[StepOutcome]) -> float:
    """Return the seconds of all steps together."""
    return sum(outcome.seconds for outcome in outcomes)
