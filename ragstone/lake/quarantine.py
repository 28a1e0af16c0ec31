"""The quarantine: what was set aside, by which step, why, and whether that has been resolved.

An entry is one rejected version of one item at one step. The newest row of an entry counts; it is open until a
resolving row follows. Items that are still rejected at the next run get no second row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import QUARANTINE
from ragstone.lake import read
from ragstone.lake.delta import append_rows

_NEWEST = f"""
    SELECT {", ".join(QUARANTINE.column_names)} FROM (
        SELECT *, row_number() OVER (
            PARTITION BY entry_id ORDER BY recorded_at DESC, resolved_at DESC NULLS LAST
        ) AS row_rank
        FROM quarantine
    ) WHERE row_rank = 1"""


def entry_id(rejection: Rejection) -> str:
    """Return the identity of a rejection: step, dataset, item and content."""
    return stable_hash(
        "quarantine", rejection.step, rejection.dataset, rejection.item_key, rejection.content_hash or ""
    )


def set_aside(root: Path, rejections: Sequence[Rejection], run_id: str) -> int:
    """Record rejections in bronze.quarantine, but for those that are open already, and return how many were new."""
    if not rejections:
        return 0
    known = set(open_entries(root)["entry_id"].to_pylist())
    new = {entry_id(rejection): rejection for rejection in rejections if entry_id(rejection) not in known}
    now = _later_than_all(root)
    append_rows(root, QUARANTINE, [_row(key, rejection, run_id, now) for key, rejection in new.items()])
    return len(new)


def resolve(root: Path, entry_ids: Iterable[str], run_id: str) -> int:
    """Close entries that are open and return how many were; others are left as they are."""
    wanted = set(entry_ids)
    rows = [row for row in open_entries(root).to_pylist() if row["entry_id"] in wanted] if wanted else []
    now = _later_than_all(root) if rows else datetime.now(UTC)
    closing = [{**row, "recorded_at": now, "resolved_at": now, "run_id": run_id} for row in rows]
    append_rows(root, QUARANTINE, closing)
    return len(closing)


def open_entries(root: Path, step: str | None = None) -> pa.Table:
    """Return the newest row of every open entry, of one step or of all, oldest first, in the table's schema."""
    entries = read.query(root, f"SELECT * FROM ({_NEWEST}) WHERE resolved_at IS NULL", quarantine=QUARANTINE)
    ordered = entries.sort_by([("recorded_at", "ascending"), ("entry_id", "ascending")])
    return ordered if step is None else ordered.filter(pc.equal(ordered["step"], step))


def entries(root: Path) -> pa.Table:
    """Return the newest row of every entry, resolved ones included, oldest first."""
    found = read.query(root, _NEWEST, quarantine=QUARANTINE)
    return found.sort_by([("recorded_at", "ascending"), ("entry_id", "ascending")])


def _row(key: str, rejection: Rejection, run_id: str, now: datetime) -> dict[str, Any]:
    return {
        "entry_id": key,
        **vars(rejection),
        "failed_rules": list(rejection.failed_rules),
        "recorded_at": now,
        "run_id": run_id,
        "resolved_at": None,
    }


def _later_than_all(root: Path) -> datetime:
    """Return now, or just after the newest row when the clock went back, so that the newest row is the last written."""
    newest = read.query(root, "SELECT max(recorded_at) AS newest FROM quarantine", quarantine=QUARANTINE)
    last = newest["newest"][0].as_py()
    now = datetime.now(UTC)
    return now if last is None else max(now, last + timedelta(microseconds=1))
