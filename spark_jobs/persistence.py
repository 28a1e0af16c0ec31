"""Frames that are read more than once: kept while they are, and planned once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyspark.sql import DataFrame


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Keep a frame, once it is computed, in memory and on disk for the length of a block."""
    try:
        yield frame.persist()
    finally:
        frame.unpersist()


def detached(frame: DataFrame) -> DataFrame:
    """Return the same rows under a plan that starts with them, for rows that many queries are asked of.

    Each query would otherwise plan everything the rows came from, which takes longer than running it. Unlike a local
    checkpoint the rows can be computed again when a worker is lost. They are copied one by one: too slow for vectors.
    """
    # Only the JVM's own createDataFrame takes rows that never pass through Python.
    jvm_session: Any = frame.sparkSession._jsparkSession
    jvm_frame: Any = frame._jdf
    return DataFrame(jvm_session.createDataFrame(jvm_frame.javaRDD(), jvm_frame.schema()), frame.sparkSession)
