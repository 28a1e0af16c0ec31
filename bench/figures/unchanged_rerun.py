"""A rerun of the whole pipeline with nothing changed, against the first run: processor seconds of all their processes.

Both are the command `ragstone run`, from its first instruction to the end of the last process it started. A rerun
follows its first run: they cannot change places, so every round has a home of its own.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import made_up
from bench.harness import ROUNDS, Measurement, Scale, check_equal, tell
from bench.homes import temporary_home
from bench.pipeline_run import PipelineRun, run_pipeline
from ragstone.contracts.tables import STATIC_TABLES, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake.delta import table_version
from ragstone.runtime.settings import Settings


def measure(scale: Scale) -> Measurement:
    """Return the processor seconds of reruns (ours) and of first runs; the goal is for at least 10,000 chunks."""
    paragraphs = made_up.texts(scale.pick(small=1_000, full=12_000))
    rounds = [_round(paragraphs) for _ in range(ROUNDS)]
    return Measurement(
        ours=tuple(again.cpu_s for _, again in rounds),
        other=tuple(first.cpu_s for first, _ in rounds),
        unit="CPU-s",
        goal=0.02,
        better="lower",
        note=f"{rounds[0][0].chunks} chunks; wall seconds of a rerun: {rounds[0][1].told_seconds}",
    )


def _round(paragraphs: list[str]) -> tuple[PipelineRun, PipelineRun]:
    """Return the first run and the rerun of a new home."""
    with TemporaryDirectory(prefix="ragstone-bench-") as folder, temporary_home(**_source(folder)) as settings:
        made_up.write_documents(Path(folder) / "documents", paragraphs)
        first = run_pipeline(settings)
        before = _table_versions(settings)
        again = run_pipeline(settings)
        check_equal(again.is_unchanged and _table_versions(settings) == before, "lake, in which nothing changed")
    tell(f"  first run {first.cpu_s:.2f} CPU-s, rerun {again.cpu_s:.2f} CPU-s")
    return first, again


def _source(folder: str) -> dict[str, Any]:
    return {"sources": {"made-up": {"root": f"{folder}/documents"}}}


def _table_versions(settings: Settings) -> dict[str, int]:
    spec = embedding_spec(settings)
    tables = (*STATIC_TABLES, embeddings(spec.space, spec.dim))
    return {
        table.name: table_version(settings.lake_root, table) for table in tables if not table.name.startswith("ops.")
    }
