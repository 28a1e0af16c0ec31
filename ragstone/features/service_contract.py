"""What a feature service promises its readers, and what of that a change takes away.

A service is read by name, by programs that Ragstone does not know of. What they rely on is each feature's name, its
type, and the keys that they give to get it; which view it comes from is nothing they see.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from feast import FeatureService

_VERSIONED: Final = re.compile(r"(?P<stem>.+)_v(?P<number>\d+)")


@dataclass(frozen=True)
class ServedFeature:
    """One feature of a service: its type, and the entities and join keys of its view, in their order."""

    type: str
    entities: tuple[str, ...]
    join_keys: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.type} of {', '.join(self.entities)} by {', '.join(self.join_keys)}"


@dataclass(frozen=True)
class Break:
    """A feature that readers of a service would get otherwise, or (`becomes` is None) not at all."""

    feature: str
    was: ServedFeature
    becomes: ServedFeature | None

    def __str__(self) -> str:
        if self.becomes is None:
            return f"{self.feature} would be gone"
        return f"{self.feature} would be {self.becomes}, not {self.was}"


def served_by(service: FeatureService, objects: Mapping[tuple[str, str], Any]) -> dict[str, ServedFeature]:
    """Return what a service serves, by feature name. `objects` are those it is declared or registered with.

    A feature whose view is not, or no longer, among them is not served.
    """
    served = {}
    for projection in service.feature_view_projections:
        view = objects.get(("FeatureView", projection.name))
        known = {field.name: field for field in view.features} if view is not None else {}
        for field in projection.features:
            if view is not None and field.name in known:
                entities = tuple(view.entities)
                keys = tuple(_join_key(name, objects) for name in entities)
                served[field.name] = ServedFeature(str(known[field.name].dtype), entities, keys)
    return served


def breaks(was: Mapping[str, ServedFeature], becomes: Mapping[str, ServedFeature]) -> tuple[Break, ...]:
    """Return what readers would miss or get otherwise, ordered by feature."""
    return tuple(
        Break(name, served, becomes.get(name)) for name, served in sorted(was.items()) if becomes.get(name) != served
    )


def successor(name: str, objects: Iterable[tuple[str, str]]) -> str | None:
    """Return the newest version of a service that is newer than this one, None when there is none."""
    stem, number = version_of(name)
    versions = [(version_of(other)[1], other) for kind, other in objects if kind == FeatureService.__name__]
    newer = [(at, other) for at, other in versions if version_of(other)[0] == stem and at > number]
    return max(newer)[1] if newer else None


def version_of(name: str) -> tuple[str, int]:
    """Return the stem and the number of a service's name: `chat_serving_v2` is version 2, no number is version 1."""
    found = _VERSIONED.fullmatch(name)
    return (found["stem"], int(found["number"])) if found else (name, 1)


def _join_key(entity: str, objects: Mapping[tuple[str, str], Any]) -> str:
    known = objects.get(("Entity", entity))
    return known.join_key if known is not None else entity
