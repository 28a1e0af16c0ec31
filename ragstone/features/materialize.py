"""The step `materialize`: declare the views, bring Redis up to the lake, sweep what died, compare both.

What was done is remembered in Redis beside the features. When neither the definitions nor a table has changed since,
nothing is done, and Feast is not even imported.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final

import redis

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import StepResult
from ragstone.features.marker import Marker, ViewState, forget_marker, read_marker
from ragstone.features.repository import registry_file
from ragstone.features.views import View, views
from ragstone.lake.commits import content_version
from ragstone.lake.delta import table_id
from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings

STEP: Final = "materialize"
UNIT: Final = "rows"


def run(settings: Settings, run_id: str) -> StepResult:  # noqa: ARG001  (every step has this signature)
    """Bring the online store up to the lake. Rows are counted over all views: the newest of each key, tombstones too.

    Raises DependencyUnavailableError when Redis does not answer, ConfigError for a yaml that would lose rows.
    """
    wanted = Marker(definition_hash(settings), datetime.now(UTC).isoformat(), view_states(settings))
    done = _marker(settings)
    same = (done.definition_hash, done.views) == (wanted.definition_hash, wanted.views)
    registry = registry_file(settings)
    if same and (registry is None or registry.is_file()):
        return _unchanged(settings, wanted)
    # Feast takes seconds to import, so it is imported only by a run that needs it.
    from ragstone.features.refresh import refresh

    return refresh(settings, done, wanted)


def rematerialize(settings: Settings, run_id: str) -> StepResult:
    """Fill the online store again with every row, whatever it holds."""
    with online_client(settings) as client:
        forget_marker(client, settings.feast.project)
    return run(settings, run_id)


def definition_hash(settings: Settings) -> str:
    """Return the identity of what Feast would be told: the repository's files, the views, where they are declared."""
    repo = settings.feast.repo
    files = sorted(path for pattern in ("*.py", "*.yaml", "objects/*.py") for path in repo.glob(pattern))
    content = [part for path in files for part in (str(path.relative_to(repo)), path.read_text("utf-8"))]
    place = (settings.feast.project, settings.registry_url, str(settings.lake_root), version("feast"))
    return stable_hash("definitions", *content, *place, *map(features_hash, views(settings)))


def features_hash(view: View) -> str:
    """Return the identity of a view's features: names and types, in their order."""
    columns = [part for column in view.columns for part in (column.name, column.type, column.feature or "")]
    return stable_hash("view", view.name, view.entity, view.join_key, *columns)


def view_states(settings: Settings) -> dict[str, ViewState]:
    """Return every view as it would be materialized now."""
    root = settings.lake_root
    return {
        view.name: ViewState(
            features_hash(view), view.spec.name, table_id(root, view.spec), content_version(root, view.spec)
        )
        for view in views(settings)
    }


def _marker(settings: Settings) -> Marker:
    try:
        with online_client(settings) as client:
            return read_marker(client, settings.feast.project)
    except redis.RedisError as failed:
        raise DependencyUnavailableError(
            "the online store does not answer", where="redis", got=f"{type(failed).__name__}: {failed}"
        ) from failed


def _unchanged(settings: Settings, wanted: Marker) -> StepResult:
    from ragstone.features.windows import count_newest

    rows = sum(count_newest(settings.lake_root, view) for view in views(settings))
    return StepResult(STEP, "unchanged", UNIT, unchanged=rows, tables_read=wanted.table_versions())
