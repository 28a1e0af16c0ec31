"""The rows of a few keys as they counted at a time: a table opened once and asked many times.

Whoever answers from the past asks for a handful of keys per question; reading a whole state for each would cost as much
as building an index.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.state import AsOf, newest_rows_sql
from ragstone.contracts.tables import TableSpec
from ragstone.lake.read import RelationReader, query

# What the state rule itself reads, beside the keys.
STATE_COLUMNS: Final = ("active", "event_timestamp", "created_timestamp")


class History:
    """The history of one table, as its newest version has it. Safe to use from one thread at a time."""

    def __init__(self, root: Path, spec: TableSpec, columns: Sequence[str]) -> None:
        """Open a table to read these columns, beside its keys and what the state rule needs."""
        kept = (*spec.keys, *columns, *STATE_COLUMNS)
        self._spec = replace(spec, columns=tuple(spec.column(name) for name in kept))
        self._reader = RelationReader(root, spec)

    def newest(self, keys: Iterable[str], as_of: AsOf) -> dict[str, dict[str, Any]]:
        """Return by key the newest row within the bounds, tombstones included; a key without one is left out."""
        (key,) = self._spec.keys
        rows = self._reader.query(newest_rows_sql(self._spec, _of(self._reader.name, key, keys), as_of))
        return {row[key]: row for row in rows}

    def versions(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        """Return every row of these keys, whenever it was written, in no particular order."""
        (key,) = self._spec.keys
        return self._reader.query(
            f"SELECT {', '.join(self._spec.column_names)} FROM {_of(self._reader.name, key, keys)}"
        )


class EventTimes:
    """The moments at which any of some tables came to know something: between two of them, no state differs."""

    def __init__(self, root: Path, specs: Mapping[str, TableSpec]) -> None:
        """Read the times of all rows."""
        sql = "SELECT DISTINCT event_timestamp AS at FROM t"
        found = (query(root, sql, t=spec)["at"].to_pylist() for spec in specs.values())
        self._times: list[datetime] = sorted({at for times in found for at in times})

    def newest_by(self, at: datetime) -> datetime:
        """Return the newest of these moments up to a time, which has the same state; before them all, the time."""
        place = bisect_right(self._times, at)
        return self._times[place - 1] if place else at


def _of(relation: str, key: str, keys: Iterable[str]) -> str:
    # Literals, unlike a join, are compared with the bounds that files keep of their keys, so most are never opened.
    wanted = ", ".join("'" + name.replace("'", "''") + "'" for name in keys)
    return f"(SELECT * FROM {relation} WHERE {key} IN ({wanted or 'NULL'}))"
