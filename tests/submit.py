"""Running a job as a cluster would: plain spark-submit with a properties file and a zip of the packages."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ragstone.runtime.code_archive import write_code_archive
from ragstone.runtime.settings import Settings
from ragstone.runtime.spark_properties import spark_environment, write_spark_properties

PROJECT = Path(__file__).resolve().parents[1]


def submit(settings: Settings, job: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a job script under spark-submit, away from the project's folder, and return how it ended.

    spark-submit sends both outputs of the job to its own standard output.
    """
    packages = write_code_archive(settings.home)
    command = [
        str(Path(sys.prefix) / "bin" / "spark-submit"),
        *("--properties-file", str(write_spark_properties(settings))),
        *("--py-files", str(packages)),
        *(str(job), "--home", str(settings.home), *arguments),
    ]
    variables = ("JAVA_HOME", "PYSPARK_PYTHON", "SPARK_VERSION", "SPARK_LOCAL_IP")
    given = {name: value for name, value in spark_environment(settings).items() if name in variables}
    given["RAGSTONE_CONF"] = str(settings.conf)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SPARK_")} | given
    return subprocess.run(
        command, cwd=settings.home, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
