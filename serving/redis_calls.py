"""What a failed call to Redis means to whoever asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from ragstone.runtime.errors import RetrievalUnavailableError


@contextmanager
def told_as_unavailable(what: str) -> Iterator[None]:
    """Turn an error of Redis into RetrievalUnavailableError; `what` is the sentence it says."""
    try:
        yield
    except redis.RedisError as failed:
        raise RetrievalUnavailableError(
            what,
            where="redis",
            got=f"{type(failed).__name__}: {failed}",
            wanted="an answer within redis.deadline_ms",
            next_step="ragstone doctor",
        ) from failed
