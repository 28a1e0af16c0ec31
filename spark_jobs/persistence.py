"""Frames that are kept while they are read more than once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import DataFrame


@contextmanager
def persisted(frame: DataFrame) -> Iterator[DataFrame]:
    """Keep a frame, once it is computed, in memory and on disk for the length of a block."""
    try:
        yield frame.persist()
    finally:
        frame.unpersist()
