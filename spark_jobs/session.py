"""The only place that starts Spark. One session per process; its properties come from one generated file.

Under `spark-submit` the JVM is already running when this code is reached, so jars, memory and Java options must have
been given with `--properties-file`; started from Python, pyspark passes the same file on.
"""

from __future__ import annotations

import os
from typing import Final

from pyspark.sql import SparkSession

from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings
from ragstone.runtime.spark_properties import spark_environment, write_spark_properties

_EXTENSION: Final = "io.delta.sql.DeltaSparkSessionExtension"


def open_session(settings: Settings) -> SparkSession:
    """Return the process's session, started on the first call; the settings of that call stay in force.

    Raises ConfigError when the JVM was started without the generated properties, DependencyUnavailableError when Java
    or a jar is missing.
    """
    session = SparkSession.getActiveSession()
    if session is None:
        write_spark_properties(settings)
        os.environ.update(spark_environment(settings))
        session = SparkSession.builder.appName("ragstone").getOrCreate()
    _check_properties(session)
    return session


def session_is_open() -> bool:
    """Return whether this process has a session."""
    return SparkSession.getActiveSession() is not None


def close_session() -> None:
    """Stop the process's session, if there is one. A later `open_session` starts another."""
    session = SparkSession.getActiveSession()
    if session is not None:
        session.stop()


def _check_properties(session: SparkSession) -> None:
    extensions = session.conf.get("spark.sql.extensions", "") or ""
    if _EXTENSION not in extensions:
        raise ConfigError(
            "Spark was started without Ragstone's properties",
            where="spark.sql.extensions",
            got=extensions or "nothing",
            wanted=_EXTENSION,
            next_step="spark-submit --properties-file <home>/spark/spark-defaults.conf ...",
        )
