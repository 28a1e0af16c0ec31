"""A rerun of the whole pipeline with nothing changed, against the first run: processor seconds of all their processes.

Both are the command `ragstone run`, from its first instruction to the end of the last process it started. Redis runs
before and after them, so it is asked what it spent in between, which is added. A rerun follows its first run: they
cannot change places, so every round has a home of its own.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import made_up
from bench.harness import ROUNDS, Measurement, Scale, check_equal, tell
from bench.homes import ragstone, run_command, temporary_home
from ragstone.contracts.tables import STATIC_TABLES, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake.delta import table_version
from ragstone.runtime.redis_server import online_client
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
        note=f"{rounds[0][0].chunks} chunks; wall seconds of a rerun: {rounds[0][1].seconds}",
    )


@dataclass(frozen=True)
class _Run:
    """One run of the pipeline: what it spent, how many chunks there are, and, in words, the seconds of its steps."""

    cpu_s: float
    chunks: int
    seconds: str
    unchanged: bool


def _round(paragraphs: list[str]) -> tuple[_Run, _Run]:
    """Return the first run and the rerun of a new home."""
    with TemporaryDirectory(prefix="ragstone-bench-") as folder, temporary_home(**_source(folder)) as settings:
        made_up.write_documents(Path(folder) / "documents", paragraphs)
        first = _run(settings)
        before = _table_versions(settings)
        again = _run(settings)
        check_equal(again.unchanged and _table_versions(settings) == before, "lake, in which nothing changed")
    tell(f"  first run {first.cpu_s:.2f} CPU-s, rerun {again.cpu_s:.2f} CPU-s")
    return first, again


def _source(folder: str) -> dict[str, Any]:
    return {"sources": {"made-up": {"root": f"{folder}/documents"}}}


def _run(settings: Settings) -> _Run:
    """Run the pipeline in a process tree of its own."""
    redis_before_s = _redis_cpu_s(settings)
    output = run_command([sys.executable, "-m", "bench.process_tree", *ragstone(settings, "--json", "run")])
    told, _, cpu_s = output.rstrip().rpartition("\n")
    steps: list[dict[str, Any]] = json.loads(told)["steps"]
    results = {step["result"]["step"]: step["result"] for step in steps}
    return _Run(
        cpu_s=float(cpu_s) + _redis_cpu_s(settings) - redis_before_s,
        chunks=results["embed"]["accepted"] + results["embed"]["unchanged"],
        seconds=", ".join(f"{step['result']['step']} {step['seconds']:.2f} s" for step in steps),
        unchanged=all(result["written"] == 0 for result in results.values()),
    )


def _redis_cpu_s(settings: Settings) -> float:
    """Return what the home's Redis server has spent, starting it when there is none."""
    with online_client(settings) as client:
        told: Any = client.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


def _table_versions(settings: Settings) -> dict[str, int]:
    spec = embedding_spec(settings)
    tables = (*STATIC_TABLES, embeddings(spec.space, spec.dim))
    return {
        table.name: table_version(settings.lake_root, table) for table in tables if not table.name.startswith("ops.")
    }
