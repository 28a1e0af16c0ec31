"""How a figure is measured and printed: two sides, interleaved rounds, medians, one JSON line."""

from __future__ import annotations

import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Scale:
    """How large a run is: sizes of `make bench` or of `make bench-full`."""

    full: bool

    def pick(self, small: int, full: int) -> int:
        """Return the size for this run."""
        return full if self.full else small


@dataclass(frozen=True)
class Measurement:
    """Both sides of a figure, one value per round, in `unit`; `ratio` is the median of ours / other, round by round.

    `goal` bounds the ratio: from above when `better` is lower, from below when it is higher.
    """

    ours: tuple[float, ...]
    other: tuple[float, ...]
    unit: str
    goal: float
    better: Literal["lower", "higher"]
    note: str

    @property
    def ratio(self) -> float:
        """Return the median over rounds of ours / other."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.ours, self.other, strict=True))

    @property
    def met(self) -> bool:
        """Return whether the goal is met."""
        return self.ratio <= self.goal if self.better == "lower" else self.ratio >= self.goal

    def line(self, figure: str) -> str:
        """Return the figure as one JSON line."""
        return json.dumps(
            {
                "figure": figure,
                "ours": round(statistics.median(self.ours), 6),
                "other": round(statistics.median(self.other), 6),
                "ratio": round(self.ratio, 4),
                "goal": f"{'<=' if self.better == 'lower' else '>='} {self.goal}",
                "met": self.met,
                "rounds": len(self.ours),
                "note": f"{self.unit}; {self.note}",
            }
        )


@dataclass(frozen=True)
class Elapsed:
    """Wall and processor seconds of one call; processor time counts this process and children that have ended."""

    wall_s: float
    cpu_s: float


def elapsed(call: Callable[[], object]) -> Elapsed:
    """Run `call` once and return what it took."""
    cpu, wall = _cpu_seconds(), time.perf_counter()
    call()
    return Elapsed(time.perf_counter() - wall, _cpu_seconds() - cpu)


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def interleave(
    ours: Callable[[], float], other: Callable[[], float], rounds: int
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the values of both sides, measured in turn so that a drifting machine disturbs both alike."""
    pairs = [(ours(), other()) if number % 2 == 0 else (other(), ours())[::-1] for number in range(rounds)]
    return tuple(pair[0] for pair in pairs), tuple(pair[1] for pair in pairs)


def median_call_s(call: Callable[[], object], calls: int) -> float:
    """Return the median wall seconds of one call over `calls` calls, after one that is not counted."""
    call()
    return statistics.median(elapsed(call).wall_s for _ in range(calls))
