"""What a metric was, run by run, and whether a new value is out of line with that. Only accepted runs are history."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ragstone.contracts.tables import QUALITY_METRICS
from ragstone.lake import read

# Of fewer runs nothing can be said; of more, what a source was long ago would count as much as what it is.
LEAST_RUNS: Final = 5
MOST_RUNS: Final = 20
LEAST_ROWS: Final = 20
_ROWS: Final = "Dataset.*.RowCount"
# How many times its usual distance from the median a value may lie away, and what share of the median at least.
TOLERANCE: Final = 5.0
LEAST_SHARE: Final = 0.05
# The median distance from the median, times this, is the standard deviation of a normal distribution.
_TO_DEVIATION: Final = 1.4826


@dataclass(frozen=True)
class Point:
    """One value of one metric in one run."""

    run_id: str
    dataset: str
    metric: str
    value: float
    accepted: bool
    recorded_at: datetime


@dataclass(frozen=True)
class Anomaly:
    """A value outside `low` to `high`, which is where `runs` accepted runs around the `median` put it."""

    value: float
    median: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        """Return it as a sentence."""
        return (
            f"got {self.value:.6g}, usual are {self.low:.6g} to {self.high:.6g}: "
            f"the median of the last {self.runs} accepted runs is {self.median:.6g}"
        )


def anomaly(value: float, history: Sequence[float]) -> Anomaly | None:
    """Return how a value is out of line with a metric's history, oldest first; None when it is not.

    The last 20 values count, and below 5 nothing is out of line. A value may lie from their median 5 times their
    deviation (the median distance from the median, scaled to a standard deviation), and at least 5 % of the median,
    so that a metric that hardly ever moves does not warn of every grain. A median of 0 without any deviation admits 0
    alone.
    """
    known = [number for number in history if math.isfinite(number)][-MOST_RUNS:]
    if len(known) < LEAST_RUNS or not math.isfinite(value):
        return None
    median = statistics.median(known)
    deviation = _TO_DEVIATION * statistics.median(abs(number - median) for number in known)
    reach = max(TOLERANCE * deviation, LEAST_SHARE * abs(median))
    if abs(value - median) <= reach:
        return None
    return Anomaly(value, median, median - reach, median + reach, len(known))


def anomalies(root: Path, dataset: str, metrics: Mapping[str, float | None]) -> dict[str, Anomaly]:
    """Return by name the metrics of a new run of a dataset that are out of line with its accepted runs.

    Runs over fewer than 20 rows do not count: the mean of a few rows says little.
    """
    history = _history(root, dataset) if any(value is not None for value in metrics.values()) else []
    found = {
        name: anomaly(value, [point.value for point in history if point.metric == name])
        for name, value in metrics.items()
        if value is not None
    }
    return {name: told for name, told in found.items() if told is not None}


def _history(root: Path, dataset: str) -> list[Point]:
    found = points(root, dataset, accepted=True)
    small = {point.run_id for point in found if point.metric == _ROWS and point.value < LEAST_ROWS}
    return [point for point in found if point.run_id not in small]


def points(root: Path, dataset: str | None = None, metric: str | None = None, accepted: bool = False) -> list[Point]:
    """Return what was measured, oldest first: of one dataset, of one metric, in accepted runs alone, or all of it."""
    rows = read.query(
        root,
        """SELECT run_id, dataset, metric, value, accepted, recorded_at FROM metrics
        WHERE coalesce($1, dataset) = dataset AND coalesce($2, metric) = metric AND (accepted OR NOT $3)
        ORDER BY recorded_at, run_id, dataset, metric""",
        (dataset, metric, accepted),
        metrics=QUALITY_METRICS,
    )
    return [Point(**row) for row in rows.to_pylist()]
