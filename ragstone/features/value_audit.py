"""Rows online, byte by byte, against what the lake says they are: a sample of them, or every one.

Keys and times are compared by `ragstone/features/audit.py`; a value that went wrong on its way is only seen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import redis

from ragstone.features.marker import read_marker
from ragstone.features.redis_layout import encode_time, entity_key, fields_of, queue
from ragstone.features.value_bytes import stored_bytes
from ragstone.features.views import EVENT_TIMESTAMP, View, views
from ragstone.lake import read
from ragstone.lake.newest import newest_batches
from ragstone.runtime.metrics import ONLINE_AUDIT_MISMATCHES, ONLINE_AUDIT_ROWS
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings

_BATCH_ROWS: Final = 1_000
_ACTIVE: Final = "active"

Row = Sequence[bytes | None]


@dataclass(frozen=True)
class ValueAudit:
    """How many living rows of a view were looked at, and the keys of those that are not online as in the lake."""

    view: str
    checked: int
    differing: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Return whether every row looked at is online, byte by byte."""
        return not self.differing


def audit_values(settings: Settings, rows: int | None) -> list[ValueAudit]:
    """Return the comparison of `rows` living rows of each view, chosen anew each time; None looks at every one.

    A row agrees when it is online as in the lake now, or as when the view was last materialized: what came since is
    still to be brought online. Sets `ragstone_online_audit_mismatches`. Raises redis.RedisError without Redis.
    """
    found = []
    with online_client(settings) as client:
        for view in views(settings):
            result = _audit_view(settings, client, view, rows)
            ONLINE_AUDIT_ROWS.labels(view.name).set(result.checked)
            ONLINE_AUDIT_MISMATCHES.labels(view.name).set(len(result.differing))
            found.append(result)
    return found


def _audit_view(settings: Settings, client: redis.Redis, view: View, rows: int | None) -> ValueAudit:
    project, checked = settings.feast.project, 0
    suspects: list[str] = []
    for batch in _living(settings, view, rows):
        wanted = _rows_of(batch)
        checked += len(wanted)
        suspects += _differing(client, project, view, wanted)
    differing = _still_differing(settings, client, view, suspects) if suspects else []
    return ValueAudit(view.name, checked, tuple(sorted(differing)))


def _living(settings: Settings, view: View, rows: int | None) -> Iterator[pa.RecordBatch]:
    """Yield living rows of a view in batches: key, time, features."""
    if rows is None:
        for batch in newest_batches(settings.lake_root, view.spec, _columns(view), batch_rows=_BATCH_ROWS):
            # One of the features, in every view.
            yield batch.filter(batch[_ACTIVE])
        return
    keys = read.state(settings.lake_root, view.spec, columns=(view.join_key,))[view.join_key]
    chosen = np.random.default_rng().choice(len(keys), size=min(rows, len(keys)), replace=False)
    yield from _state_of(settings, view, keys.take(pa.array(chosen)).to_pylist(), None).to_batches(_BATCH_ROWS)


def _still_differing(settings: Settings, client: redis.Redis, view: View, suspects: Sequence[str]) -> list[str]:
    """Return which rows are online neither as in the lake now, looked at again, nor as last materialized."""
    marker = read_marker(client, settings.feast.project)
    state = marker.views.get(view.name)
    left = set(suspects)
    for version in (None, state.version if state is not None and state.version >= 0 else None):
        lake = _rows_of(_state_of(settings, view, sorted(left), version))
        # A row that was not there then, or is dead now, may be missing.
        wanted = {key: lake.get(key) for key in left}
        left = set(_differing(client, settings.feast.project, view, wanted))
    return sorted(left)


def _state_of(settings: Settings, view: View, keys: Sequence[str], version: int | None) -> pa.Table:
    names = ", ".join(f"'{key}'" for key in keys) or "NULL"
    where = f"{view.join_key} IN ({names})"
    return read.state(settings.lake_root, view.spec, columns=_columns(view), where=where, version=version)


def _columns(view: View) -> list[str]:
    return [view.join_key, EVENT_TIMESTAMP, *(column.name for column in view.columns)]


def _rows_of(rows: pa.RecordBatch | pa.Table) -> dict[str, Row]:
    """Return by key what Redis is to hold of each row, in the order of the view's fields."""
    columns = [column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column for column in rows.columns]
    keys, times, *features = columns
    stored = [list(map(encode_time, times.to_pylist())), *map(stored_bytes, features)]
    return dict(zip(keys.to_pylist(), zip(*stored, strict=True), strict=True))


def _differing(client: redis.Redis, project: str, view: View, wanted: Mapping[str, Row | None]) -> Iterable[str]:
    fields = fields_of(view)
    with client.pipeline(transaction=False) as pipeline:
        for key in wanted:
            queue(pipeline, "HMGET", entity_key(project, view.join_key, key), *fields)
        online = pipeline.execute()
    for (key, row), got in zip(wanted.items(), online, strict=True):
        expected = [None] * len(fields) if row is None else list(row)
        if got != expected:
            yield key
