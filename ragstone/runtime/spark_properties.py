"""What Spark is told before its JVM starts: one generated file, read by our sessions and by plain spark-submit alike.

Heap, jars, Java options and log settings come too late when a running driver sets them, so they are written to
`<home>/spark/spark-defaults.conf`, which pyspark and spark-submit are given by name.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ragstone.runtime.code_archive import write_code_archive
from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.jars import jar_paths, spark_jar_paths
from ragstone.runtime.java import java_home
from ragstone.runtime.settings import Settings
from ragstone.runtime.telemetry import OPT_OUTS

SPARK_LINE: Final = "3.5"
# Rows of long text or of vectors per Arrow batch: Spark's 10,000 would hold some 50 MB each, on both sides.
_ARROW_BATCH_ROWS: Final = 1_024


def write_spark_properties(settings: Settings) -> Path:
    """Write the properties file of this home and return its path; a file that is already right is left alone.

    Raises DependencyUnavailableError when a jar is missing or wrong.
    """
    path = settings.home / "spark" / "spark-defaults.conf"
    content = "".join(f"{key} {_escaped(value)}\n" for key, value in spark_properties(settings).items())
    if not path.is_file() or path.read_text("utf-8") != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, content)
    return path


def spark_environment(settings: Settings) -> dict[str, str]:
    """Return the variables a driver needs, to be laid over the environment before pyspark starts its JVM.

    Raises DependencyUnavailableError when there is no Java 17 or no pyspark.
    """
    environment = {
        "JAVA_HOME": str(java_home(settings)),
        "SPARK_HOME": str(_spark_home()),
        "SPARK_CONF_DIR": str(empty_conf(settings)),
        # What pyspark starts its JVM with; a job that spark-submit runs has its JVM already.
        "PYSPARK_SUBMIT_ARGS": f"--properties-file {shlex.quote(str(write_spark_properties(settings)))} pyspark-shell",
        # pydeequ refuses to be imported without it.
        "SPARK_VERSION": SPARK_LINE,
        # Python shows and takes Spark's timestamps in local time: the workers' is UTC like everything else. A driver
        # that has already started must call `time.tzset()` after taking these over.
        "TZ": "UTC",
        # Workers started by a bare `python3` would find none of our packages.
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        # One encoder process per core: their tokenizers must not start threads of their own.
        "TOKENIZERS_PARALLELISM": "false",
        **OPT_OUTS,
    }
    if _is_this_machine(settings):
        environment["SPARK_LOCAL_IP"] = "127.0.0.1"
    return environment


def class_archive(settings: Settings) -> Path:
    """Return where set-up puts the archive of Spark's and Delta's classes, which local drivers map."""
    return settings.assets / "spark" / "classes.jsa"


def empty_conf(settings: Settings) -> Path:
    """Return the folder that stands for Spark's conf on the class path: always empty, and the same for all homes.

    The JVM maps no class archive when its class path has another folder than at the dump, or one with files.
    """
    return settings.assets / "spark" / "conf"


def spark_properties(settings: Settings) -> dict[str, str]:
    """Return every Spark property of this home, by name. Raises DependencyUnavailableError."""
    properties = {
        "spark.master": settings.spark.master,
        "spark.driver.memory": settings.spark.driver_memory,
        "spark.driver.extraJavaOptions": _java_options(settings),
        "spark.executor.extraJavaOptions": "-Duser.timezone=UTC",
        **_jars(settings),
        # Nothing is resolved by it, but its folders are made, and a container's user may have no home.
        "spark.jars.ivy": str(settings.home / "spark" / "ivy"),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.catalogImplementation": "in-memory",
        "spark.sql.warehouse.dir": (settings.home / "spark" / "warehouse").as_uri(),
        "spark.sql.session.timeZone": "UTC",
        # Spark's own default, INT96, carries no statistics and overflows in readers that count nanoseconds.
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.shuffle.partitions": str(settings.spark.shuffle_partitions),
        "spark.databricks.delta.snapshotPartitions": str(settings.spark.shuffle_partitions),
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(_ARROW_BATCH_ROWS),
        # Models are cached in worker processes: a new process per task would load one per task.
        "spark.python.worker.reuse": "true",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    if _is_this_machine(settings):
        properties |= {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
    if not _is_local(settings):
        properties |= {
            "spark.executor.memory": settings.spark.executor_memory,
            "spark.submit.pyFiles": str(write_code_archive(settings.home / "spark")),
        }
    return properties


def _java_options(settings: Settings) -> str:
    """Return the driver's Java options.

    A laptop's driver lives for seconds to minutes: without the optimising compiler and with the serial collector it
    gives its first results in half the time.
    """
    log_config = settings.conf / "spark" / "log4j2.properties"
    options = [f'"-Dlog4j2.configurationFile={log_config.as_uri()}"', "-Duser.timezone=UTC"]
    if _is_local(settings):
        options += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        # Room for what is loaded at the start: the JVM's own small beginnings cost a full collection at each growth.
        options += ["-XX:MetaspaceSize=256m", "-Xms384m", "-XX:NewSize=160m"]
        # An archive that does not fit this driver is passed over, and that is no warning's matter.
        options += [f'"-XX:SharedArchiveFile={class_archive(settings)}"', "-Xlog:cds=error"]
    return " ".join(options)


def _jars(settings: Settings) -> dict[str, str]:
    """Return which jars are loaded how: a local driver has the core ones on its class path, where it can share them.

    Jars that Spark adds later would be copied for the executor, which is the driver itself.
    """
    jars = spark_jar_paths(settings)
    if not _is_local(settings):
        return {"spark.jars": _jar_list(jars)}
    core = jar_paths(settings)
    added = [jar for jar in jars if jar not in core]
    own = {"spark.driver.extraClassPath": os.pathsep.join(map(str, core))}
    return own | ({"spark.jars": _jar_list(added)} if added else {})


def _jar_list(jars: Iterable[Path]) -> str:
    return ",".join(jar.as_uri() for jar in jars)


def _is_local(settings: Settings) -> bool:
    return settings.spark.master.startswith("local")


def _is_this_machine(settings: Settings) -> bool:
    return settings.spark.master.startswith(("local", "spark://127.0.0.1:"))


def _spark_home() -> Path:
    package = importlib.util.find_spec("pyspark")
    if package is None or package.origin is None:
        raise DependencyUnavailableError(
            "pyspark is not installed", where=sys.executable, wanted="pyspark", next_step="run `make install`"
        )
    return Path(package.origin).parent


def _escaped(value: str) -> str:
    # The file is read as Java properties, where a backslash escapes.
    return value.replace("\\", "\\\\")


def _replace(path: Path, content: str) -> None:
    """Write a file at once, for another driver may read it just now."""
    descriptor, scratch = tempfile.mkstemp(dir=path.parent, prefix=".properties-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    Path(scratch).replace(path)
