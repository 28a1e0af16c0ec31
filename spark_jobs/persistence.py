"""Frames that are read more than once: kept while they are, and planned once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession

from spark_jobs.driver_frames import stands_in_driver

# For rows that stand in the driver: what makes plans fast for many rows takes longer than going through a few.
_FOR_FEW_ROWS: Final = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Keep a frame, once it is computed, in memory and on disk for the length of a block."""
    try:
        yield frame.persist()
    finally:
        frame.unpersist()


@contextmanager
def settled(frame: DataFrame) -> Iterator[DataFrame]:
    """Lend the same rows, computed once and planned no more, for many queries to be asked of in a block.

    Rows that came from the driver stay there, and whatever is asked of them is asked in the way that is cheap for a
    few. Texts and vectors are copied one by one in any case, so they had better be left out.
    """
    if not stands_in_driver(frame):
        with persisted(detached(frame)) as kept:
            yield kept
        return
    with planned_for_few_rows(frame.sparkSession):
        jvm_session, jvm_frame = _jvm(frame)
        yield DataFrame(jvm_session.createDataFrame(jvm_frame.collectAsList(), jvm_frame.schema()), frame.sparkSession)


@contextmanager
def planned_for_few_rows(spark: SparkSession) -> Iterator[None]:
    """Plan and run queries, for the length of a block, in the way that is cheap for a few rows and dear for many."""
    before: dict[str, str | None] = {name: spark.conf.get(name, None) for name in _FOR_FEW_ROWS}
    for name, value in _FOR_FEW_ROWS.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, earlier in before.items():
            if earlier is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, earlier)


def detached(frame: DataFrame) -> DataFrame:
    """Return the same rows under a plan that starts with them, for rows that many queries are asked of.

    Each query would otherwise plan everything the rows came from, which takes longer than running it. Unlike a local
    checkpoint the rows can be computed again when a worker is lost. They are copied one by one: too slow for vectors.
    """
    # Only the JVM's own createDataFrame takes rows that never pass through Python.
    jvm_session, jvm_frame = _jvm(frame)
    return DataFrame(jvm_session.createDataFrame(jvm_frame.javaRDD(), jvm_frame.schema()), frame.sparkSession)


def _jvm(frame: DataFrame) -> tuple[Any, Any]:
    session: Any = frame.sparkSession._jsparkSession
    return session, frame._jdf
