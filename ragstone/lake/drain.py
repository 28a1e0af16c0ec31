"""Draining a stream of events into its table: every entry becomes one row, whatever is killed and whoever else drains.

Rows and the position they reach are one commit, so a drain goes on where the table says it has come. A stream that
the table knows nothing of, such as that of a Redis that was restored without its newest data, is read from its
beginning; entries that are rows already are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from ragstone.contracts.records import Rejection
from ragstone.contracts.stream_entries import from_entry
from ragstone.contracts.tables import TableSpec
from ragstone.lake import read
from ragstone.lake.delta import commit_rows, ensure_table, rows_to_table, transaction_version
from ragstone.lake.quarantine import set_aside
from ragstone.runtime.errors import ContractError
from ragstone.runtime.redis_stream import Entry, EntryId, RedisStream

STEP: Final = "drain"
_EVENT_TIME: Final = "event_timestamp"
_BATCH: Final = 2_000


@dataclass(frozen=True)
class Drained:
    """What became of a stream's entries: rows now, rows already, none at all; and how many old ones were dropped."""

    rows: int = 0
    known: int = 0
    rejected: int = 0
    dropped: int = 0

    def __add__(self, other: Drained) -> Drained:
        return Drained(*(getattr(self, name) + getattr(other, name) for name in vars(self)))


def drain(root: Path, spec: TableSpec, stream: RedisStream, run_id: str, keep_s: int) -> Drained:
    """Bring a table up to the stream's newest entry, then drop the entries it has that are older than `keep_s` seconds.

    Entries that are no row go to quarantine. Whoever calls holds the home's writer lock (`ops.recorded_run`). Raises
    redis.RedisError.
    """
    newest = stream.newest()
    if newest is None:
        return Drained()
    app_id = f"{STEP}:{stream.name}:{stream.identity()}"
    committed = transaction_version(root, spec, app_id)
    reached = None if committed is None else EntryId.at_position(committed)
    done = Drained()
    while entries := stream.entries(reached, newest, _BATCH):
        reached = entries[-1].id
        done += _commit(root, spec, stream.name, entries, (app_id, reached.position), run_id)
    return done if reached is None else done + Drained(dropped=stream.drop(reached, keep_s))


def _commit(
    root: Path, spec: TableSpec, stream: str, entries: Sequence[Entry], txn: tuple[str, int], run_id: str
) -> Drained:
    """Commit entries together with the position they reach."""
    data, rejections = _judged(spec, stream, entries)
    fresh = _without_known(root, spec, data)
    set_aside(root, rejections, run_id)
    ensure_table(root, spec)
    commit_rows(root, spec, fresh, txn)
    return Drained(fresh.num_rows, data.num_rows - fresh.num_rows, len(rejections))


def _judged(spec: TableSpec, stream: str, entries: Sequence[Entry]) -> tuple[pa.Table, list[Rejection]]:
    rows, rejections = [], []
    for entry in entries:
        try:
            row = from_entry(spec, entry.fields)
            rows_to_table(spec, [row])
        except (ValueError, ContractError) as wrong:
            rejections.append(_rejection(spec, stream, entry, wrong))
        else:
            rows.append(row)
    return rows_to_table(spec, rows), rejections


def _rejection(spec: TableSpec, stream: str, entry: Entry, wrong: Exception) -> Rejection:
    got = wrong.got if isinstance(wrong, ContractError) else wrong
    return Rejection(
        step=STEP,
        dataset=spec.name,
        item_key=f"{stream} {entry.id}",
        reason=f"the entry is no row of {spec.name}; got {got}; wanted a field per column, as its contract has it",
        payload_pointer=f"redis: XRANGE {stream} {entry.id} {entry.id}",
    )


def _without_known(root: Path, spec: TableSpec, data: pa.Table) -> pa.Table:
    """Leave out the rows that the table has. Events have their time for good, so only files of that time are read."""
    (key,) = spec.keys
    earliest = pc.min(data[_EVENT_TIME]).as_py()
    sql = f"SELECT {key} FROM present SEMI JOIN fresh USING ({key}) WHERE {_EVENT_TIME} >= ?"
    known = read.query(root, sql, (earliest,), present=spec, fresh=data.select([key]))
    return data.filter(pc.invert(pc.is_in(data[key], known[key].combine_chunks())))
