"""What the commits of a table did, from its log: which of them changed rows, and which files they brought.

Compacting, vacuuming, migrating and setting properties make versions without changing a row. Whoever asks whether a
table is as it was when it was last read must not be told of those.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.tables import TableSpec
from ragstone.lake.delta import table_path, table_version

_VERSION_DIGITS: Final = 20


@dataclass(frozen=True)
class AddedFile:
    """A data file that a commit brought: its path below the table, and the smallest event_timestamp, where known."""

    path: str
    earliest_event: datetime | None
    rows: int | None


def content_version(root: Path, spec: TableSpec, up_to: int | None = None) -> int:
    """Return the newest version, up to a given one, that changed rows: 0 when none has, -1 when there is no table.

    Where the log no longer tells, the newest version it can have been is returned.
    """
    newest = table_version(root, spec) if up_to is None else up_to
    for version in range(newest, 0, -1):
        actions = _actions(root, spec, version)
        if actions is None or any(_changes_rows(action) for action in actions):
            return version
    return min(newest, 0)


def files_added_since(root: Path, spec: TableSpec, version: int) -> list[AddedFile] | None:
    """Return the files of the commits after a version that brought rows, or None when the log does not reach back.

    A file that maintenance wrote brought no row, and one that maintenance has replaced since is still named.
    """
    found: list[AddedFile] = []
    for after in range(version + 1, table_version(root, spec) + 1):
        actions = _actions(root, spec, after)
        if actions is None:
            return None
        found += [_added(action["add"]) for action in actions if "add" in action and _changes_rows(action)]
    return found


def commit_path(root: Path, spec: TableSpec, version: int) -> Path:
    """Return the file of one commit in a table's log."""
    return table_path(root, spec) / "_delta_log" / f"{version:0{_VERSION_DIGITS}d}.json"


def _actions(root: Path, spec: TableSpec, version: int) -> Iterator[dict[str, Any]] | None:
    try:
        content = commit_path(root, spec, version).read_text("utf-8")
    except FileNotFoundError:
        return None
    return (json.loads(line) for line in content.split("\n") if line)


def _changes_rows(action: dict[str, Any]) -> bool:
    return any(kind in action and action[kind].get("dataChange", True) for kind in ("add", "remove"))


def _added(add: dict[str, Any]) -> AddedFile:
    statistics = json.loads(add.get("stats") or "{}")
    earliest = (statistics.get("minValues") or {}).get("event_timestamp")
    moment = None if earliest is None else datetime.fromisoformat(earliest)
    return AddedFile(add["path"], moment, statistics.get("numRecords"))
