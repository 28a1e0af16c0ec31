"""What applying declared objects would change in a registry, field by field, and what that breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from feast import Entity, FeatureService, FeatureStore, FeatureView
from google.protobuf.json_format import MessageToDict

from ragstone.features.service_contract import Break, breaks, served_by, successor, version_of
from ragstone.runtime.errors import ConflictError

Objects = Mapping[tuple[str, str], Any]

KINDS: Final = (Entity, FeatureView, FeatureService)
# What the registry adds by itself; without these an object reads the same before and after it was applied.
_REGISTRY_FIELDS: Final = frozenset({"meta", "project", "createdTimestamp", "lastUpdatedTimestamp", "version"})
# What tells the members of a list apart, so that one that was put in between moves no other.
_NAMES: Final = ("name", "featureViewName")


@dataclass(frozen=True)
class FieldChange:
    """One field of an object, such as `features.text.valueType`; None where the object has no such field."""

    field: str
    was: str | None
    becomes: str | None


@dataclass(frozen=True)
class Difference:
    """One object whose declaration is not what the registry holds. `change` is added, changed or removed.

    `breaks` are the features of a registered service that its readers would miss or get otherwise; `successor` is the
    newer version of that service that is declared, None when there is none.
    """

    kind: str
    name: str
    change: str
    fields: tuple[FieldChange, ...] = ()
    breaks: tuple[Break, ...] = ()
    successor: str | None = None


def differences(found: Objects, wanted: Objects) -> list[Difference]:
    """Return what differs between registered and declared objects, ordered by kind and name."""
    return [
        difference
        for kind, name in sorted(wanted.keys() | found.keys())
        if (difference := _difference(kind, name, found, wanted)) is not None
    ]


def refuse_breaking(planned: Sequence[Difference]) -> None:
    """Raise ConflictError when a registered service would break and no newer version of it is declared."""
    for difference in planned:
        if is_refused(difference):
            raise ConflictError(
                f"the change breaks the registered service {difference.name}",
                where=f"{difference.kind} {difference.name}",
                got="; ".join(map(str, difference.breaks)),
                wanted="every feature that the service serves, under its name, of its type and for its keys",
                next_step=f"declare {_next_version(difference.name)} beside it with what is new, or take the change "
                "back; `ragstone features diff` shows the whole plan",
            )


def is_refused(difference: Difference) -> bool:
    """Return whether `apply` refuses a difference: it breaks a service, and no newer version is declared."""
    return bool(difference.breaks) and difference.successor is None


def registered_objects(store: FeatureStore) -> dict[tuple[str, str], Any]:
    """Return what the registry holds for the store's project, by kind and name."""
    if not any(project.name == store.project for project in store.list_projects()):
        return {}
    objects: list[Any] = [*store.list_entities(), *store.list_feature_views(), *store.list_feature_services()]
    return by_name(objects)


def by_name(objects: Sequence[Any]) -> dict[tuple[str, str], Any]:
    """Return objects by kind and name."""
    return {(type(item).__name__, item.name): item for item in objects}


def essence(item: Any) -> Any:
    """Return what an object declares, without what a registry adds."""
    return _without_registry_fields(MessageToDict(item.to_proto()))


def _difference(kind: str, name: str, found: Objects, wanted: Objects) -> Difference | None:
    was, becomes = found.get((kind, name)), wanted.get((kind, name))
    if was is None:
        return Difference(kind, name, "added")
    broken = _broken(was, becomes, found, wanted)
    newer = successor(name, wanted) if broken else None
    if becomes is None:
        return Difference(kind, name, "removed", (), broken, newer)
    before, after = essence(was), essence(becomes)
    if before == after and not broken:
        return None
    return Difference(kind, name, "changed", _changed_fields(before["spec"], after["spec"]), broken, newer)


def _broken(was: Any, becomes: Any, found: Objects, wanted: Objects) -> tuple[Break, ...]:
    if not isinstance(was, FeatureService):
        return ()
    return breaks(served_by(was, found), served_by(becomes, wanted) if becomes is not None else {})


def _changed_fields(before: Any, after: Any) -> tuple[FieldChange, ...]:
    old, new = dict(_fields(before)), dict(_fields(after))
    return tuple(
        FieldChange(field, old.get(field), new.get(field))
        for field in sorted(old.keys() | new.keys())
        if old.get(field) != new.get(field)
    )


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every leaf of a declaration with its path; a list's members go by their names, or by their places."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _fields(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _fields(inner, f"{path}.{_name_of(inner, place)}")
    else:
        yield path, str(value)


def _name_of(member: Any, place: int) -> str:
    named = (member.get(name) for name in _NAMES) if isinstance(member, Mapping) else ()
    return str(next((name for name in named if name is not None), place))


def _without_registry_fields(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_registry_fields(v) for k, v in value.items() if k not in _REGISTRY_FIELDS}
    if isinstance(value, list):
        return [_without_registry_fields(item) for item in value]
    return value


def _next_version(name: str) -> str:
    stem, number = version_of(name)
    return f"{stem}_v{number + 1}"
