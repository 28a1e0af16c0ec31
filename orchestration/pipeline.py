"""The pipeline as data: which steps there are, what each needs, and the function that does it.

Steps are named as `module:function` and imported when they run, so reading the graph costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ragstone.contracts.names import STEPS
from ragstone.runtime.errors import UsageError


@dataclass(frozen=True)
class Step:
    """One step: `target` is `module:function`, taking (settings, run_id); `needs` are the steps that come before it."""

    name: str
    target: str
    needs: tuple[str, ...]
    spark: bool
    does: str


PIPELINE: Final = (
    Step("ingest", "spark_jobs.ingest_documents:run", (), True, "land new, changed and vanished items of every source"),
    Step(
        "validate", "spark_jobs.validate_documents:run", ("ingest",), True, "hold bronze documents against their rules"
    ),
    Step(
        "preprocess", "spark_jobs.preprocess_documents:run", ("validate",), True, "parse, normalise and chunk documents"
    ),
    Step(
        "embed",
        "spark_jobs.embed_chunks:run",
        ("preprocess",),
        True,
        "encode the chunk texts the lake does not know yet",
    ),
    Step(
        "materialize",
        "ragstone.features.materialize:run",
        ("embed",),
        False,
        "bring the features online, sweep dead ones",
    ),
    Step("index", "serving.index.build:run", ("materialize",), False, "build, verify and publish an index snapshot"),
)

# Not a part of a run: a repair, recorded under the step whose work it does again.
REMATERIALIZE: Final = Step(
    "materialize", "ragstone.features.materialize:rematerialize", (), False, "fill the online store again"
)

# Not a part of a run either: questions come when they come, whether or not there are new documents.
DRAIN: Final = Step(
    "drain", "ragstone.lake.events:run", (), False, "move questions, answers and feedback into the lake"
)


def step(name: str) -> Step:
    """Return a step by name. Raises UsageError."""
    for known in PIPELINE:
        if known.name == name:
            return known
    raise UsageError("there is no such step", got=name, wanted=f"one of {', '.join(STEPS)}")


def steps_between(first: str | None = None, last: str | None = None) -> tuple[Step, ...]:
    """Return the steps from `first` to `last`, both included, in running order. Raises UsageError."""
    names = [known.name for known in PIPELINE]
    start = names.index(step(first).name) if first else 0
    end = names.index(step(last).name) if last else len(names) - 1
    if start > end:
        raise UsageError("the first step comes after the last", got=f"{first} to {last}", wanted=" -> ".join(names))
    return PIPELINE[start : end + 1]
