"""Declaring the repository's objects to the registry, and telling beforehand what would change."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Final

from feast import FeatureStore

from ragstone.features.plan import KINDS, Difference, by_name, differences, refuse_breaking, registered_objects
from ragstone.features.repository import feast_environment
from ragstone.features.store import open_store
from ragstone.runtime.settings import Settings

_DEFINITIONS: Final = "definitions.py"
_environment_lock = threading.Lock()


def declared_objects(settings: Settings) -> list[Any]:
    """Return the Feast objects that definitions.py declares for these settings, in a stable order."""
    with _environment(feast_environment(settings)):
        module = runpy.run_path(str(settings.feast.repo / _DEFINITIONS))
    objects = by_name([item for item in module.values() if isinstance(item, KINDS)])
    return [objects[key] for key in sorted(objects)]


def diff(settings: Settings) -> list[Difference]:
    """Return what `apply` would change, and what that breaks. Unlike `feast plan` it is empty when nothing would."""
    return differences(registered_objects(open_store(settings)), by_name(declared_objects(settings)))


def apply(settings: Settings) -> list[Difference]:
    """Make the registry hold exactly the declared objects, and return what changed. Nothing is written for nothing.

    Raises ConflictError, and changes nothing, when a registered service would break that has no newer version.
    """
    return apply_to(open_store(settings), settings)


def apply_to(store: FeatureStore, settings: Settings) -> list[Difference]:
    """Do the same through a store that is open already; it knows the new objects then."""
    objects, registered = declared_objects(settings), registered_objects(store)
    planned = differences(registered, by_name(objects))
    refuse_breaking(planned)
    if planned:
        gone = [registered[(each.kind, each.name)] for each in planned if each.change == "removed"]
        # Feast reports its progress by print.
        with contextlib.redirect_stdout(io.StringIO()):
            store.apply(objects, objects_to_delete=gone, partial=False)
        store.refresh_registry()  # type: ignore[no-untyped-call]
    return planned


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
