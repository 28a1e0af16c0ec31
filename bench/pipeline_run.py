"""The command `ragstone run` in a process tree of its own: what it did, and the processor seconds of all it started."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.homes import ragstone, run_command
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings


@dataclass(frozen=True)
class PipelineRun:
    """One run: processor seconds of all processes, wall seconds of each step, and what each step gave back."""

    cpu_s: float
    seconds: Mapping[str, float]
    results: Mapping[str, Mapping[str, Any]]

    @property
    def chunks(self) -> int:
        """Return how many chunks embed looked at."""
        return int(self.results["embed"]["accepted"]) + int(self.results["embed"]["unchanged"])

    @property
    def is_unchanged(self) -> bool:
        """Return whether no step wrote a row."""
        return all(result["written"] == 0 for result in self.results.values())

    @property
    def told_seconds(self) -> str:
        """Return the wall seconds of the steps in words."""
        return ", ".join(f"{step} {seconds:.2f} s" for step, seconds in self.seconds.items())


def run_pipeline(settings: Settings) -> PipelineRun:
    """Run the pipeline once, from the command's first instruction to the end of the last process it started.

    Redis runs before and after it, so it is asked what it spent in between, which is added.
    """
    redis_before_s = redis_cpu_s(settings)
    output = run_command([sys.executable, "-m", "bench.process_tree", *ragstone(settings, "--json", "run")])
    told, _, cpu_s = output.rstrip().rpartition("\n")
    steps: list[dict[str, Any]] = json.loads(told)["steps"]
    return PipelineRun(
        cpu_s=float(cpu_s) + redis_cpu_s(settings) - redis_before_s,
        seconds={step["result"]["step"]: step["seconds"] for step in steps},
        results={step["result"]["step"]: step["result"] for step in steps},
    )


def redis_cpu_s(settings: Settings) -> float:
    """Return what the home's Redis server has spent, starting it when there is none."""
    with online_client(settings) as client:
        told: Any = client.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])
