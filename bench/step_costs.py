"""Runs the pipeline in this process and prints, as JSON, the Spark jobs and the processor seconds of each step.

`python -m bench.step_costs HOME`. Seconds are of this process and of its JVM, the JVM's workers included; Linux only.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from bench.process_tree import cpu_s_of_tree
from orchestration.pipeline import PIPELINE
from orchestration.runner import run_step, started_run_id
from ragstone.runtime.logging import configure_logging
from ragstone.runtime.settings import LogSettings, load_settings


def main(home: Path) -> None:
    """Run every step once and print what each took."""
    configure_logging(LogSettings(level="warning"))
    settings, run_id = load_settings(home=home), started_run_id()
    costs, before = {}, (time.process_time(), *_spark())
    for known in PIPELINE:
        run_step(settings, run_id, known)
        now = (time.process_time(), *_spark())
        python_s, jvm_s, jobs = (after - earlier for after, earlier in zip(now, before, strict=True))
        costs[known.name] = {"jobs": jobs, "python_cpu_s": round(python_s, 2), "jvm_cpu_s": round(jvm_s, 2)}
        before = now
    print(json.dumps(costs), flush=True)
    # Without waiting for Spark to take leave of itself.
    os._exit(0)


def _spark() -> tuple[float, int]:
    """Return the JVM's processor seconds and the jobs it was given, without starting one."""
    if "pyspark" not in sys.modules:
        return 0.0, 0
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    if context is None:
        return 0.0, 0
    gateway: Any = SparkContext._gateway
    return cpu_s_of_tree(gateway.proc.pid), int(context._jsc.sc().dagScheduler().numTotalJobs())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
