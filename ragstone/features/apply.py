"""Declaring the repository's objects to the registry, and telling beforehand what would change."""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from feast import Entity, FeatureService, FeatureStore, FeatureView
from google.protobuf.json_format import MessageToDict

from ragstone.contracts.identity import stable_hash
from ragstone.features.repository import feast_environment
from ragstone.features.store import open_store
from ragstone.runtime.settings import Settings

_DEFINITIONS: Final = "definitions.py"
_KINDS: Final = (Entity, FeatureView, FeatureService)
# What the registry adds by itself; without these an object reads the same before and after it was applied.
_REGISTRY_FIELDS: Final = frozenset({"meta", "project", "createdTimestamp", "lastUpdatedTimestamp", "version"})
_environment_lock = threading.Lock()


@dataclass(frozen=True)
class Difference:
    """One object whose declaration is not what the registry holds. `change` is added, changed or removed."""

    kind: str
    name: str
    change: str


def declared_objects(settings: Settings) -> list[Any]:
    """Return the Feast objects that definitions.py declares for these settings, in a stable order."""
    with _environment(feast_environment(settings)):
        module = runpy.run_path(str(settings.feast.repo / _DEFINITIONS))
    objects = {(type(o).__name__, o.name): o for name, o in module.items() if isinstance(o, _KINDS)}
    return [objects[key] for key in sorted(objects)]


def definition_hash(objects: Sequence[Any]) -> str:
    """Return the identity of declared objects: it changes with any of their fields."""
    return stable_hash("definitions", *(json.dumps(_essence(item), sort_keys=True) for item in objects))


def diff(settings: Settings) -> list[Difference]:
    """Return what `apply` would change. Unlike `feast plan` it is empty when nothing would."""
    return _differences(open_store(settings), declared_objects(settings))


def apply(settings: Settings) -> list[Difference]:
    """Make the registry hold exactly the declared objects, and return what changed. Nothing is written for nothing."""
    return apply_to(open_store(settings), settings)


def apply_to(store: FeatureStore, settings: Settings) -> list[Difference]:
    """Do the same through a store that is open already; it knows the new objects then."""
    objects = declared_objects(settings)
    differences = _differences(store, objects)
    if differences:
        removed = {(d.kind, d.name) for d in differences if d.change == "removed"}
        gone = [item for key, item in _registered(store).items() if key in removed]
        # Feast reports its progress by print.
        with contextlib.redirect_stdout(io.StringIO()):
            store.apply(objects, objects_to_delete=gone, partial=False)
        store.refresh_registry()  # type: ignore[no-untyped-call]
    return differences


def _differences(store: FeatureStore, objects: Sequence[Any]) -> list[Difference]:
    wanted = {(type(item).__name__, item.name): item for item in objects}
    found = _registered(store)
    changes = []
    for kind, name in sorted(wanted.keys() | found.keys()):
        key = (kind, name)
        if key not in found:
            changes.append(Difference(kind, name, "added"))
        elif key not in wanted:
            changes.append(Difference(kind, name, "removed"))
        elif _essence(wanted[key]) != _essence(found[key]):
            changes.append(Difference(kind, name, "changed"))
    return changes


def _registered(store: FeatureStore) -> dict[tuple[str, str], Any]:
    if not any(project.name == store.project for project in store.list_projects()):
        return {}
    objects: list[Any] = [*store.list_entities(), *store.list_feature_views(), *store.list_feature_services()]
    return {(type(item).__name__, item.name): item for item in objects}


def _essence(item: Any) -> Any:
    return _without_registry_fields(MessageToDict(item.to_proto()))


def _without_registry_fields(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_registry_fields(v) for k, v in value.items() if k not in _REGISTRY_FIELDS}
    if isinstance(value, list):
        return [_without_registry_fields(item) for item in value]
    return value


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let definitions.py find what it would find under plain `feast`."""
    with _environment_lock:
        before = {name: os.environ.get(name) for name in variables}
        os.environ.update(variables)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
