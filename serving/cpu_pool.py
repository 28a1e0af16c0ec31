"""The threads that do the service's blocking work, so that the event loop only ever waits."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class CpuPool:
    """A few threads for encoding, searching, ranking, and for the Redis and lake calls around them."""

    def __init__(self, threads: int) -> None:
        self._executor = ThreadPoolExecutor(threads, "ragstone-cpu")

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns, run in a thread with the caller's context variables.

        A caller that is cancelled stops waiting; work that has not begun is then never begun.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: context.run(function, *args, **kwargs))

    def close(self) -> None:
        """Let running work end and drop what has not begun."""
        self._executor.shutdown(wait=True, cancel_futures=True)
