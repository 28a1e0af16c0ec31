"""Opening Feast's FeatureStore for a home, without touching this process's environment."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Final

from feast import FeatureStore, RepoConfig

from ragstone.features.repository import STORE_YAML, feast_environment, read_store_yaml
from ragstone.runtime.settings import Settings

# A server that is not there must not hold up a run: by default each event is tried six times, for six seconds.
_LINEAGE_TRANSPORT: Final = {"timeout": 2.0, "retry": {"total": 0}}


class _Store(FeatureStore):
    def _init_openlineage_emitter(self) -> Any:
        configured = self.config.openlineage
        if configured is None or not configured.enabled:
            return None
        from feast.openlineage import FeastOpenLineageEmitter

        told = configured.to_openlineage_config()  # type: ignore[no-untyped-call]
        told.additional_config = _LINEAGE_TRANSPORT
        return FeastOpenLineageEmitter(told)

    def _emit_openlineage_apply(self, objects: Sequence[Any]) -> None:
        # Feast's own imports its remote registry first, and with it grpc, which nothing here needs: without it an
        # apply would end in an error, with the registry written.
        if self.openlineage_emitter is not None:
            self.openlineage_emitter.emit_apply(objects, self.project)


def open_store(settings: Settings, store_yaml: str = STORE_YAML) -> FeatureStore:
    """Return the feature store of these settings, its yaml checked. `store_yaml` is a file of the repository.

    Raises ConfigError for a yaml that would lose rows, DependencyUnavailableError without Redis.
    """
    raw = read_store_yaml(settings.feast.repo / store_yaml, feast_environment(settings))
    # Said at every read of the registry; that the source works here is what the tests are for.
    warnings.filterwarnings("ignore", message="The spark data source API", category=RuntimeWarning)
    config = RepoConfig(**raw)
    config.repo_path = settings.feast.repo
    return _Store(config=config)
