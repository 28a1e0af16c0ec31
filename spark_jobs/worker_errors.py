"""Errors that Spark's workers raise on purpose, as the driver gets them: the same kind with the same facts.

Spark tells the driver of a worker's error as a text, the traceback, inside an error of its own. So the worker puts its
error into that text in a form that the driver can read back.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyspark.errors import PySparkException

from ragstone.runtime.errors import RagstoneError

_MARK: Final = "ragstone-error"
_TOLD: Final = re.compile(rf"{_MARK}:([A-Za-z0-9+/=]+)")


class WorkerError(Exception):
    """What a worker raises instead of a RagstoneError; its text holds that error."""


@contextmanager
def told_to_driver() -> Iterator[None]:
    """In a worker: raise every RagstoneError of a block as one that reaches the driver whole."""
    try:
        yield
    except RagstoneError as error:
        content = json.dumps({"kind": type(error).__name__, "facts": vars(error)}, default=str)
        raise WorkerError(f"{error}\n{_MARK}:{base64.b64encode(content.encode()).decode()}") from error


@contextmanager
def as_workers_told() -> Iterator[None]:
    """In the driver: raise the RagstoneError that a worker raised in a block; all else is raised as it came."""
    try:
        yield
    except PySparkException as failed:
        error = _told(str(failed))
        if error is None:
            raise
        raise error from failed


def _told(text: str) -> RagstoneError | None:
    found = _TOLD.search(text)
    if found is None:
        return None
    told: dict[str, Any] = json.loads(base64.b64decode(found[1]))
    kind = _kinds(RagstoneError)[told["kind"]]
    # Not pickled: a text that Spark hands on is data, and must not be able to be more.
    error = kind.__new__(kind, told["facts"]["what"])
    vars(error).update(told["facts"])
    return error


def _kinds(base: type[RagstoneError]) -> dict[str, type[RagstoneError]]:
    return {base.__name__: base} | {name: kind for sub in base.__subclasses__() for name, kind in _kinds(sub).items()}
