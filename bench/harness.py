"""How a figure is measured and printed: two sides, interleaved rounds, medians, one JSON line."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

ROUNDS = 3


@dataclass(frozen=True)
class Scale:
    """How large a run is: the sizes of `make bench` or of `make bench-full`, divided by `shrink` to try it out."""

    full: bool
    shrink: int = 1

    def pick(self, small: int, full: int) -> int:
        """Return the size for this run, at least 1."""
        return max(1, (full if self.full else small) // self.shrink)


@dataclass(frozen=True)
class Measurement:
    """Both sides of a figure, one value per round, in `unit`.

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
        """Return the median over rounds of ours / other: both values of a round saw the same machine."""
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


class OutputsDifferError(AssertionError):
    """Both sides of a figure were given the same, and did not make the same of it: the figure means nothing."""


def check_equal(equal: bool, what: str) -> None:
    """Raise OutputsDifferError unless both sides agree on `what`."""
    if not equal:
        raise OutputsDifferError(f"both sides should have the same {what}")


def tell(progress: str) -> None:
    """Say on standard error what is being done now."""
    print(f"{time.strftime('%H:%M:%S')} {progress}", file=sys.stderr, flush=True)


def wall_s(call: Callable[[], object]) -> float:
    """Run `call` once and return its wall seconds."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


@dataclass(frozen=True)
class Rounds:
    """What both sides gave, call by call, in each round."""

    ours: tuple[tuple[float, ...], ...]
    other: tuple[tuple[float, ...], ...]

    def each(
        self, summary: Callable[[Sequence[float]], float] = statistics.median
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return one value per round of both sides."""
        return tuple(summary(calls) for calls in self.ours), tuple(summary(calls) for calls in self.other)


def interleave(ours: Callable[[], float], other: Callable[[], float], calls: int = 1) -> Rounds:
    """Return what both sides gave in `ROUNDS` rounds of so many calls each.

    They are called in turn, and each goes first every other time, so that a drifting machine disturbs both alike.
    """
    sides = (("ours", ours), ("other", other))
    rounds = []
    for number in range(ROUNDS):
        given: dict[str, list[float]] = {"ours": [], "other": []}
        for call in range(calls):
            for name, side in sides if (number + call) % 2 == 0 else reversed(sides):
                given[name].append(side())
        rounds.append(given)
        medians = {name: f"{statistics.median(values):.6g}" for name, values in given.items()}
        tell(f"  round {number + 1} of {ROUNDS}: {medians}")
    return Rounds(*(tuple(tuple(given[name]) for given in rounds) for name, _ in sides))


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that at least `percent` per cent of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]
