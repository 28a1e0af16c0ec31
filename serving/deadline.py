"""Deadlines: how long a request may still take, handed down to every call it makes."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ragstone.runtime.errors import DeadlineExceededError


@dataclass(frozen=True)
class Deadline:
    """A moment on the monotonic clock, in seconds, by which a request must have its answer."""

    at_s: float
    given_ms: int

    @classmethod
    def after_ms(cls, milliseconds: int) -> Deadline:
        """Return the deadline that many milliseconds from now."""
        return cls(time.monotonic() + milliseconds / 1_000, milliseconds)

    def remaining_ms(self, where: str) -> int:
        """Return the milliseconds left, at least 1. Raises DeadlineExceededError when none are."""
        left = int((self.at_s - time.monotonic()) * 1_000)
        if left < 1:
            raise deadline_exceeded(where, self.given_ms)
        return left


def deadline_exceeded(where: str, given_ms: int) -> DeadlineExceededError:
    """Return the error of a request that ran past its deadline."""
    return DeadlineExceededError(
        "the request ran past its deadline",
        where=where,
        got=f"more than {given_ms} ms",
        wanted=f"an answer within {given_ms} ms",
        next_step="ask again, or raise serving.deadline_ms",
    )
