"""Generated histories, and what a point-in-time join of them must give, by loops that anyone can check by reading."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from ragstone.contracts.state import NOW, AsOf
from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS, TableSpec
from tests.factories import at, make_chunk_row, make_tombstone, write_rows
from tests.ragstone.features.lake import make_stats_row

# Feature names by table column.
CHUNK_FEATURES: Final = {"token_count": "token_count", "heading_path": "heading_path", "active": "chunk_active"}
STATS_FEATURES: Final = {
    "change_count": "change_count",
    "language": "document_language",
    "active": "document_stats_active",
}
_MOMENT: Final = timedelta(microseconds=1)
_ZONES: Final = ("UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Apia")
_CHUNKS: Final = tuple(make_chunk_row(f"text {n}") for n in range(3))
_DOCUMENTS: Final = ("guide.md", "notes.md")
_MINUTES: Final = 5


@dataclass(frozen=True)
class History:
    """Commits of two tables, the labels to join to them, and how."""

    chunks: list[list[dict[str, Any]]]
    stats: list[list[dict[str, Any]]]
    labels: list[dict[str, Any]]
    zone: str
    ttl: timedelta | None
    as_of: AsOf
    created_before_label: bool

    def write(self, root: Path) -> None:
        """Write each commit as one, in its order."""
        for spec, commits in ((SILVER_CHUNKS, self.chunks), (DOCUMENT_STATS, self.stats)):
            for rows in commits:
                write_rows(root, spec, rows)

    def label_table(self) -> pa.Table:
        """Return the labels with their times in one zone, as a column must have them."""
        names = {name: pa.string() for name in ("chunk_id", "document_id")}
        types = {**names, "event_timestamp": pa.timestamp("us", tz=self.zone), "label": pa.int64()}
        return pa.Table.from_pylist(self.labels, pa.schema(list(types.items())))


def make_history(rng: Random, same_times: bool = True) -> History:
    """Return a history of ties, late rows, tombstones and duplicates, its labels at the edges of rows and of the TTL.

    Without `same_times` no two rows of a key are equal in both times, as no two rows that the steps write are.
    """
    chunks = [_version(rng, SILVER_CHUNKS, dict(rng.choice(_CHUNKS)), "token_count", "heading_path") for _ in range(12)]
    stats = [_stats(rng) for _ in range(8)]
    ttl = rng.choice([None, timedelta(minutes=1), timedelta(minutes=2)])
    bounds = [None, None, *map(at, range(_MINUTES))]
    return History(
        chunks=_commits(rng, chunks, SILVER_CHUNKS, same_times),
        stats=_commits(rng, stats, DOCUMENT_STATS, same_times),
        labels=[_label(rng, number, ttl) for number in range(12)],
        zone=rng.choice(_ZONES),
        ttl=ttl,
        as_of=AsOf(rng.choice(bounds), rng.choice(bounds)),
        created_before_label=rng.random() < 0.3,
    )


def expected(history: History, as_of: AsOf = NOW, created_before_label: bool = False) -> list[dict[str, Any]]:
    """Return the labels' features, one row for each in the labels' order. The TTL is that of the chunks."""
    found = []
    for label in history.labels:
        time, row = label["event_timestamp"], {"label": label["label"]}
        for rows, key, features, ttl in (
            (history.chunks, "chunk_id", CHUNK_FEATURES, history.ttl),
            (history.stats, "document_id", STATS_FEATURES, None),
        ):
            versions = [version for commit in rows for version in commit if version[key] == label[key]]
            latest = time if as_of.known_by is None else min(time, as_of.known_by)
            written = as_of.written_by
            if created_before_label:
                written = time if written is None else min(time, written)
            newest = _newest(versions, latest, written)
            if newest is not None and ttl is not None and newest["event_timestamp"] < time - ttl:
                newest = None
            for column, feature in features.items():
                row[feature] = None if newest is None else newest[column]
        found.append(row)
    return found


def _newest(versions: Sequence[dict[str, Any]], latest: datetime, written: datetime | None) -> dict[str, Any] | None:
    best = None
    for version in versions:
        if version["event_timestamp"] > latest:
            continue
        if written is not None and version["created_timestamp"] > written:
            continue
        if best is None or _counts_before(version, best):
            best = version
    return best


def _counts_before(one: dict[str, Any], other: dict[str, Any]) -> bool:
    if one["event_timestamp"] != other["event_timestamp"]:
        return bool(one["event_timestamp"] > other["event_timestamp"])
    if one["created_timestamp"] != other["created_timestamp"]:
        return bool(one["created_timestamp"] > other["created_timestamp"])
    return other["active"] and not one["active"]


def _stats(rng: Random) -> dict[str, Any]:
    return _version(rng, DOCUMENT_STATS, make_stats_row(rng.choice(_DOCUMENTS)), "change_count", "language")


def _version(rng: Random, spec: TableSpec, row: dict[str, Any], number: str, text: str) -> dict[str, Any]:
    """Return a version at whole minutes, so that many tie; what it holds tells its times, so that equal times agree."""
    event, created = rng.randrange(_MINUTES), rng.randrange(_MINUTES + 2)
    times = {"event_timestamp": at(event), "created_timestamp": at(created)}
    if rng.random() < 0.3:
        return make_tombstone(spec, row[spec.keys[0]], **times)
    return {**row, **times, number: 100 * event + created, text: f"{event}, {created}" if created % 3 else None}


def _commits(rng: Random, rows: list[dict[str, Any]], spec: TableSpec, same_times: bool) -> list[list[dict[str, Any]]]:
    if same_times:
        rows = [*rows, *rng.sample(rows, 3)]
    else:
        rows = list(
            {(row[spec.keys[0]], row["event_timestamp"], row["created_timestamp"]): row for row in rows}.values()
        )
    cut = rng.randrange(1, len(rows))
    return [rows[:cut], rows[cut:]]


def _label(rng: Random, number: int, ttl: timedelta | None) -> dict[str, Any]:
    edge = ttl if ttl is not None and rng.random() < 0.5 else timedelta(0)
    time = at(rng.randrange(_MINUTES)) + edge + rng.choice([-_MOMENT, timedelta(0), _MOMENT])
    return {
        "chunk_id": rng.choice([*(chunk["chunk_id"] for chunk in _CHUNKS), "no such chunk"]),
        "document_id": rng.choice([*(make_stats_row(name)["document_id"] for name in _DOCUMENTS), None]),
        "event_timestamp": time.astimezone(ZoneInfo(rng.choice(_ZONES))),
        "label": number,
    }
