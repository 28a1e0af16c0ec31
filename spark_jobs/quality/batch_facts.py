"""What is told of a batch as a whole: how many rows, of which sources, and how its vectors lie beside earlier ones.

All of it comes from the one job that counts the rows. To the rules a fact is a column with one value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import DataFrame
from pyspark.sql import functions as sql

# Fewer vectors than this have a mean that says more about them than about the encoder.
LEAST_VECTORS: Final = 100
_SAMPLE: Final = "sample"


@dataclass(frozen=True)
class BatchFacts:
    """`rows` in the batch, their `sources` (empty when nobody asked), and per sampled element of the vectors its mean.

    `mean_sample` is empty where rows have no vector, or too few have.
    """

    rows: int
    sources: frozenset[str]
    mean_sample: tuple[float, ...]


def batch_facts(measured: DataFrame, sampled_elements: int, tell_sources: bool) -> BatchFacts:
    """Return the facts of measured rows, in one job. `sampled_elements` is 0 where rows have no column `sample`."""
    elements = [sql.avg(sql.when(sql.col("bad_elements") == 0, sql.col(_SAMPLE)[at])) for at in range(sampled_elements)]
    sources = sql.collect_set("source") if tell_sources else sql.array()
    found = measured.agg(sql.count("*"), sources, sql.array(*elements)).collect()[0]
    rows, names, means = found[0], found[1], found[2]
    known = rows >= LEAST_VECTORS and bool(means) and all(mean is not None for mean in means)
    return BatchFacts(rows, frozenset(names), tuple(means) if known else ())


def mean_drift(before: Sequence[float], now: Sequence[float], dim: int) -> float | None:
    """Return about how far two mean vectors of `dim` elements are apart (0: alike; vectors have length 1), or None.

    Both are given by the same first elements; None where either is not known.
    """
    if not before or len(before) != len(now):
        return None
    squares = sum((then - later) ** 2 for then, later in zip(before, now, strict=True))
    return math.sqrt(dim / len(now) * squares)


def with_facts(judged: DataFrame, names: Sequence[str], facts: Mapping[str, float | None]) -> DataFrame:
    """Return judged rows with the named facts as columns, null where a fact is not known."""
    columns = {name: sql.lit(facts.get(name)).cast("double") for name in names}
    return judged.withColumns(columns) if columns else judged
