"""How a job runs on its own: as `python -m spark_jobs.<job>`, or under plain spark-submit.

`spark-submit --properties-file <home>/spark/spark-defaults.conf --py-files ragstone.zip spark_jobs/JOB.py --home H`,
where `ragstone.zip` holds the packages `ragstone` and `spark_jobs`, PYSPARK_PYTHON names the environment's Python and
RAGSTONE_CONF the folder of settings, which a zip does not hold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ragstone.contracts.records import new_run_id
from ragstone.lake.ops import StepFunction, recorded_run
from ragstone.runtime.errors import EXIT_OK, RagstoneError, exit_code
from ragstone.runtime.logging import configure_logging, get_logger
from ragstone.runtime.settings import load_settings

_log = get_logger(__name__)


def job_main(step: str, function: StepFunction, argv: Sequence[str]) -> int:
    """Run one step from its command line, recorded in ops.runs, and return the exit code of `runtime.errors`.

    `--run-id` joins it to a pipeline run. An error we raise on purpose goes to standard error without a traceback.
    """
    arguments = _parser(step).parse_args(argv)
    run_id = arguments.run_id or new_run_id(datetime.now(UTC))
    try:
        settings = load_settings(home=arguments.home, env=arguments.env)
        configure_logging(settings.log)
        recorded_run(step, function, settings, run_id)
    except RagstoneError as error:
        sys.stderr.write(f"{error}\n")
        return exit_code(error)
    return EXIT_OK


def _parser(step: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=step, description=f"Run the step {step} of Ragstone.")
    parser.add_argument("--home", type=Path, help="the folder that holds all state (default: RAGSTONE_HOME)")
    parser.add_argument("--env", help="which conf/<env>.yaml to lay over conf/base.yaml")
    parser.add_argument("--run-id", help="the pipeline run this step belongs to (default: a run of its own)")
    return parser
