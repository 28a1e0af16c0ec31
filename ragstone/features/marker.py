"""What was last materialized, kept in Redis itself: a flushed Redis has no marker, so it is filled again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import redis

from ragstone.lake.delta import ABSENT


@dataclass(frozen=True)
class ViewState:
    """A view as it was materialized: its features' identity, its table's, and the version that last changed rows."""

    features_hash: str
    table: str
    table_id: str | None
    version: int


@dataclass(frozen=True)
class Marker:
    """The last success: identity of the definitions, when it ended (ISO 8601, UTC), and the state of each view."""

    definition_hash: str
    materialized_at: str
    views: Mapping[str, ViewState] = field(default_factory=dict)

    def materialized_version(self, view: str, now: ViewState) -> int:
        """Return the table version a view was last filled from; -1 when that was another table or other features."""
        then = self.views.get(view)
        if then is None or (then.features_hash, then.table_id) != (now.features_hash, now.table_id):
            return ABSENT
        return then.version

    def filled_at(self) -> datetime | None:
        """Return when it ended, or None for the empty marker."""
        return datetime.fromisoformat(self.materialized_at) if self.materialized_at else None

    def table_versions(self) -> dict[str, int]:
        """Return the materialized version of each table that there was, by name."""
        return {state.table: state.version for state in self.views.values() if state.version != ABSENT}


NO_MARKER = Marker(definition_hash="", materialized_at="")


def read_marker(client: redis.Redis, project: str) -> Marker:
    """Return the marker, or an empty one when there is none that can be read."""
    return parse_marker(client.get(_key(project)))


def parse_marker(stored: Any) -> Marker:
    """Return a stored marker, or an empty one for None and for one of another form."""
    try:
        raw = json.loads(stored or "")
        states = {name: ViewState(**state) for name, state in raw.pop("views").items()}
        return Marker(**raw, views=states)
    except (ValueError, TypeError, KeyError, AttributeError):
        return NO_MARKER


def write_marker(client: redis.Redis, project: str, marker: Marker) -> None:
    """Record a success."""
    client.set(_key(project), json.dumps(asdict(marker), sort_keys=True))


def forget_marker(client: redis.Redis, project: str) -> None:
    """Make the next materialization fill everything again."""
    client.delete(_key(project))


def _key(project: str) -> str:
    return f"ragstone:materialized:{project}"
