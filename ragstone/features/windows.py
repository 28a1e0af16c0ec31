"""Which rows a materialization has to take: all keys with a row committed since the last one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ragstone.contracts.state import timestamp_literal
from ragstone.features.views import View
from ragstone.lake import read
from ragstone.lake.files import earliest_event_since, files_sql


@dataclass(frozen=True)
class Window:
    """What one view takes: keys with a row at or after `start`. None when nothing was committed."""

    view: View
    start: datetime | None
    rows: int
    unchanged: int


def window(root: Path, view: View, since_version: int) -> Window:
    """Return the window of a view since a table version.

    It starts at the smallest event_timestamp among the rows committed since, however late they came, and has no end.
    """
    start, keys = earliest_event_since(root, view.spec, since_version), count_newest(root, view)
    if start is None:
        return Window(view, None, rows=0, unchanged=keys)
    rows = count_newest(root, view, f"event_timestamp >= {timestamp_literal(start)}")
    return Window(view, start, rows=rows, unchanged=keys - rows)


def count_newest(root: Path, view: View, where: str = "TRUE") -> int:
    """Return how many keys of a view's table have a row that meets a condition, tombstones included."""
    sql = f"SELECT count(DISTINCT {view.join_key}) AS keys FROM {files_sql(root, view.spec)} WHERE {where}"
    return int(read.query(root, sql)["keys"][0].as_py())
