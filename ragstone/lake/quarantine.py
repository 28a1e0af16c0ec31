"""The quarantine: what was set aside, by which step, why, and whether that has been resolved.

An entry is one rejected version of one item at one step. The newest row of an entry counts; it is open until a
resolving row follows. Items that are still rejected at the next run get no second row.

An entry closes because its version passed (mended), because a newer version counts (superseded), because its item is
gone (vanished), or because somebody said so (dismissed). One that is to be looked at again stays open, marked `retry`,
until its step has judged it. A dismissed or superseded version stays out all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import QUARANTINE
from ragstone.lake import read
from ragstone.lake.delta import append_rows

MENDED: Final = "mended"
SUPERSEDED: Final = "superseded"
VANISHED: Final = "vanished"
DISMISSED: Final = "dismissed"
RETRY: Final = "retry"

# Where a sentence goes on to what was got and wanted.
_FACTS: Final = re.compile(r"[;:] ")

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
    """Record rejections in bronze.quarantine and return how many rows that took.

    None is written for an entry that is open already, unless it was marked for another look, nor for one that was
    dismissed: of an item whose content is not known, only as long as it is rejected for the same reason.
    """
    if not rejections:
        return 0
    known = {row["entry_id"]: row for row in entries(root).to_pylist()}
    new = {
        key: rejection
        for rejection in rejections
        if not _is_settled(known.get(key := entry_id(rejection)), rejection.reason)
    }
    now = _later_than_all(root)
    append_rows(root, QUARANTINE, [_row(key, rejection, run_id, now) for key, rejection in new.items()])
    return len(new)


def resolve(root: Path, entry_ids: Iterable[str], run_id: str, resolution: str = MENDED) -> int:
    """Close entries and return how many that were; what is closed is left as it is, but a held version can be mended.

    `resolution` is mended, superseded or vanished.
    """
    wanted = set(entry_ids)
    closable = (held_entries(root) if resolution == MENDED else open_entries(root)) if wanted else None
    rows = [row for row in closable.to_pylist() if row["entry_id"] in wanted] if closable is not None else []
    return _follow(root, rows, run_id, resolution=resolution, closes=True)


def dismiss(root: Path, key: str, run_id: str, who: str, why: str) -> bool:
    """Close an open entry for good, and return whether it was open: the same content is not entered again."""
    rows = [row for row in open_entries(root).to_pylist() if row["entry_id"] == key]
    return _follow(root, rows, run_id, resolution=DISMISSED, closes=True, resolved_by=who, note=why) > 0


def retry(root: Path, key: str, run_id: str, who: str) -> bool:
    """Mark an open or a dismissed entry, so that its step looks at it again, and return whether it was either."""
    rows = [
        row
        for row in entries(root).to_pylist()
        if row["entry_id"] == key and (row["resolved_at"] is None or row["resolution"] == DISMISSED)
    ]
    return _follow(root, rows, run_id, resolution=RETRY, closes=False, resolved_by=who) > 0


def open_entries(root: Path, step: str | None = None) -> pa.Table:
    """Return the newest row of every open entry, of one step or of all, oldest first, in the table's schema."""
    return _newest(root, "resolved_at IS NULL AND coalesce($1, step) = step", step)


def retried_entries(root: Path, step: str) -> pa.Table:
    """Return the open entries of a step that it shall look at again."""
    return _newest(root, f"resolved_at IS NULL AND resolution = '{RETRY}' AND step = $1", step)


def held_entries(root: Path) -> pa.Table:
    """Return the newest row of every entry whose version is not to be taken: open, dismissed or superseded."""
    return _newest(root, f"resolved_at IS NULL OR resolution IN ('{DISMISSED}', '{SUPERSEDED}')")


def entries(root: Path) -> pa.Table:
    """Return the newest row of every entry, resolved ones included, oldest first."""
    return _newest(root, "TRUE")


def count_reasons(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return how many entries of a step have each reason, most first, as rows of step, reason and entries.

    A reason is a broken rule where there is one, else what happened without the facts of the one item.
    """
    counts = Counter(
        (row["step"], reason) for row in rows for reason in row["failed_rules"] or [_FACTS.split(row["reason"])[0]]
    )
    return [{"step": step, "reason": reason, "entries": count} for (step, reason), count in counts.most_common()]


def _newest(root: Path, where: str, *parameters: str | None) -> pa.Table:
    found = read.query(root, f"SELECT * FROM ({_NEWEST}) WHERE {where}", parameters, quarantine=QUARANTINE)
    return found.sort_by([("recorded_at", "ascending"), ("entry_id", "ascending")])


def _is_settled(known: Mapping[str, Any] | None, reason: str) -> bool:
    """Return whether an entry says all there is to say of a rejection."""
    if known is None:
        return False
    if known["resolved_at"] is None:
        return bool(known["resolution"] != RETRY)
    return known["resolution"] == DISMISSED and (known["content_hash"] is not None or known["reason"] == reason)


def _follow(
    root: Path, rows: Sequence[Mapping[str, Any]], run_id: str, *, resolution: str, closes: bool, **said: str
) -> int:
    """Append a row that follows each of these newest rows, and return how many that are."""
    if not rows:
        return 0
    now = _later_than_all(root)
    facts = {"recorded_at": now, "resolved_at": now if closes else None, "run_id": run_id, "resolution": resolution}
    unsaid = {"resolved_by": None, "note": None}
    append_rows(root, QUARANTINE, [{**row, **unsaid, **facts, **said} for row in rows])
    return len(rows)


def _row(key: str, rejection: Rejection, run_id: str, now: datetime) -> dict[str, Any]:
    return {
        **dict.fromkeys(QUARANTINE.column_names),
        "entry_id": key,
        **vars(rejection),
        "failed_rules": list(rejection.failed_rules),
        "recorded_at": now,
        "run_id": run_id,
    }


def _later_than_all(root: Path) -> datetime:
    """Return now, or just after the newest row when the clock went back, so that the newest row is the last written."""
    newest = read.query(root, "SELECT max(recorded_at) AS newest FROM quarantine", quarantine=QUARANTINE)
    last = newest["newest"][0].as_py()
    now = datetime.now(UTC)
    return now if last is None else max(now, last + timedelta(microseconds=1))
