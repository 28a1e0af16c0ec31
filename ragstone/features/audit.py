"""Comparing the lake with Redis, and removing from Redis what the lake says is dead.

Materializing writes tombstones, because Feast never deletes a row; the sweep then takes dead rows away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

import redis

from ragstone.features.redis_layout import decode_time, entity_key, fields_of, queue, scan_entities, time_field
from ragstone.features.views import View, views
from ragstone.lake import read
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings

_PIPELINED: Final = 1_000
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class ViewAudit:
    """One view, offline against online. Keys come sorted.

    `missing` live in the lake and are not online, `stale` are online with another event_timestamp than in the lake,
    `dead` are online although the lake has no living row. `newest_event` is the newest event time of a living row.
    """

    view: str
    lake_rows: int
    online_rows: int
    missing: tuple[str, ...]
    stale: tuple[str, ...]
    dead: tuple[str, ...]
    newest_event: datetime | None

    @property
    def agrees(self) -> bool:
        """Return whether every living row, and no other, is online."""
        return not (self.missing or self.stale or self.dead)


def audit(settings: Settings) -> list[ViewAudit]:
    """Return the comparison of every view. Reads each key of the project once."""
    declared = views(settings)
    with online_client(settings) as client:
        online = {
            entity: _online_times(client, settings.feast.project, [v for v in declared if v.join_key == entity])
            for entity in sorted({view.join_key for view in declared})
        }
    return [_compare(settings, view, online[view.join_key][view.name]) for view in declared]


def sweep(settings: Settings, audits: Sequence[ViewAudit] | None = None) -> dict[str, int]:
    """Remove dead rows from Redis and return how many went, by view. A hash goes with its last view.

    `audits` spares a second comparison.
    """
    found = {result.view: result for result in (audit(settings) if audits is None else audits)}
    removed = {}
    with online_client(settings) as client:
        for view in views(settings):
            removed[view.name] = _remove(client, settings.feast.project, view, found[view.name].dead)
    return removed


def _compare(settings: Settings, view: View, online: Mapping[str, datetime]) -> ViewAudit:
    rows = read.state(settings.lake_root, view.spec, columns=(view.join_key, "event_timestamp"))
    lake = dict(zip(rows[view.join_key].to_pylist(), rows["event_timestamp"].to_pylist(), strict=True))
    return ViewAudit(
        view=view.name,
        lake_rows=len(lake),
        online_rows=len(online),
        missing=tuple(sorted(lake.keys() - online.keys())),
        stale=tuple(sorted(key for key, time in lake.items() if online.get(key, time) != time)),
        dead=tuple(sorted(online.keys() - lake.keys())),
        newest_event=max(lake.values(), default=None),
    )


def _online_times(client: redis.Redis, project: str, declared: Sequence[View]) -> dict[str, dict[str, datetime]]:
    """Return by view the event_timestamp of every row online, by entity."""
    found: dict[str, dict[str, datetime]] = {view.name: {} for view in declared}
    time_fields = [time_field(view.name) for view in declared]
    for part in _parts(scan_entities(client, project, declared[0].join_key)):
        with client.pipeline(transaction=False) as pipeline:
            for key, _ in part:
                queue(pipeline, "HMGET", key, *time_fields)
            answers = pipeline.execute()
        for (_, entity), times in zip(part, answers, strict=True):
            for view, time in zip(declared, times, strict=True):
                if time is not None:
                    found[view.name][entity] = decode_time(time)
    return found


def _remove(client: redis.Redis, project: str, view: View, dead: Iterable[str]) -> int:
    fields, removed = fields_of(view), 0
    for part in _parts(iter(dead)):
        with client.pipeline(transaction=False) as pipeline:
            for entity in part:
                queue(pipeline, "HDEL", entity_key(project, view.join_key, entity), *fields)
            removed += sum(1 for gone in pipeline.execute() if gone)
    return removed


def _parts(items: Iterator[_Item]) -> Iterator[list[_Item]]:
    while part := list(islice(items, _PIPELINED)):
        yield part
