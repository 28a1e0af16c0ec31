"""Wall seconds of `ragstone run` with nothing changed, at 1,000 documents, against the 5 s it may take.

The command is told of a Java that is not there, so a run that started a JVM would fail.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.filled_home import filled_home
from bench.harness import ROUNDS, Measurement, Scale, check_equal, tell, wall_s
from bench.pipeline_run import PipelineRun, run_pipeline

_ALLOWED_S = 5.0
_JAVA_HOME = "RAGSTONE_SPARK_JAVA_HOME"


def measure(scale: Scale) -> Measurement:
    """Return the wall seconds of reruns (ours) and what they may take (the other side)."""
    documents = scale.pick(small=1_000, full=1_000)
    runs: list[PipelineRun] = []
    with filled_home(documents) as (settings, _), _without_java():
        took = tuple(wall_s(lambda: runs.append(run_pipeline(settings))) for _ in range(ROUNDS))
    check_equal(all(run.is_unchanged for run in runs), "lake, in which nothing changed")
    tell(f"  {', '.join(f'{seconds:.2f} s' for seconds in took)}")
    note = f"{documents} documents, {runs[0].chunks} chunks; CPU-s: {', '.join(f'{run.cpu_s:.2f}' for run in runs)}"
    return Measurement(took, (_ALLOWED_S,) * ROUNDS, "s", goal=1.0, better="lower", note=note)


@contextmanager
def _without_java() -> Iterator[None]:
    before = os.environ.get(_JAVA_HOME)
    os.environ[_JAVA_HOME] = os.devnull
    try:
        yield
    finally:
        del os.environ[_JAVA_HOME]
        if before is not None:
            os.environ[_JAVA_HOME] = before
