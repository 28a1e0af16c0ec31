"""Processor seconds of `ragstone run` after ten documents were rewritten: in a large corpus against a small one.

What a run costs should follow the change, not the corpus. All vectors but those of the rewritten documents are made up.
"""

from __future__ import annotations

from bench import made_up
from bench.figures.edit_cost import rewrite
from bench.filled_home import filled_home
from bench.harness import ROUNDS, Measurement, Scale, check_equal, tell
from bench.pipeline_run import PipelineRun, run_pipeline

_SMALL_DOCUMENTS = 100
_REWRITTEN = 10


def measure(scale: Scale) -> Measurement:
    """Return the processor seconds of runs in the large corpus (ours) and in the small one."""
    large_documents = scale.pick(small=500, full=10_000)
    large, small = _runs(max(_REWRITTEN, large_documents)), _runs(max(_REWRITTEN, _SMALL_DOCUMENTS // scale.shrink))
    check_equal(
        all(run.results["preprocess"]["accepted"] == _REWRITTEN for run in (*large, *small)), "documents rewritten"
    )
    note = (
        f"{_REWRITTEN} documents rewritten of {large[0].chunks} chunks, and of {small[0].chunks}; wall seconds of the "
        f"large corpus: {large[0].told_seconds}"
    )
    return Measurement(
        tuple(run.cpu_s for run in large), tuple(run.cpu_s for run in small), "CPU-s", 2.0, "lower", note
    )


def _runs(documents: int) -> list[PipelineRun]:
    tell(f"  {documents * made_up.CHUNKS_PER_DOCUMENT} chunks")
    with filled_home(documents) as (settings, source):
        runs = []
        for number in range(ROUNDS):
            rewrite(source, _REWRITTEN, seed=number)
            runs.append(run_pipeline(settings))
            tell(f"  run {runs[-1].cpu_s:.1f} CPU-s")
    return runs
