"""Opening Feast's FeatureStore for a home, without touching this process's environment."""

from __future__ import annotations

import warnings

from feast import FeatureStore, RepoConfig

from ragstone.features.repository import STORE_YAML, feast_environment, read_store_yaml
from ragstone.runtime.settings import Settings


def open_store(settings: Settings, store_yaml: str = STORE_YAML) -> FeatureStore:
    """Return the feature store of these settings, its yaml checked. `store_yaml` is a file of the repository.

    Raises ConfigError for a yaml that would lose rows, DependencyUnavailableError without Redis.
    """
    raw = read_store_yaml(settings.feast.repo / store_yaml, feast_environment(settings))
    # Said at every read of the registry; that the source works here is what the tests are for.
    warnings.filterwarnings("ignore", message="The spark data source API", category=RuntimeWarning)
    config = RepoConfig(**raw)
    config.repo_path = settings.feast.repo
    return FeatureStore(config=config)
