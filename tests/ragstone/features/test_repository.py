from __future__ import annotations

from pathlib import Path

import pytest

from ragstone.features.repository import SPARK_STORE_YAML, STORE_YAML, feast_environment, read_store_yaml
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings

VARIABLES = {
    "RAGSTONE_FEAST_PROJECT": "ragstone",
    "RAGSTONE_FEAST_REGISTRY": "sqlite:///registry.db",
    "RAGSTONE_FEAST_WRITE_BATCH_SIZE": "5000",
    "FEAST_REDIS_CONNECTION": "127.0.0.1:6379,db=0",
    "FEAST_REDIS_TYPE": "redis",
    "FEAST_SENTINEL_MASTER": "none",
    "FEAST_OPENLINEAGE_ENABLED": "false",
    "FEAST_OPENLINEAGE_URL": "none",
}


@pytest.fixture
def yaml_text(settings: Settings) -> str:
    return (settings.feast.repo / STORE_YAML).read_text("utf-8")


@pytest.mark.parametrize("name", [STORE_YAML, SPARK_STORE_YAML])
def test_shipped_yaml_passes_with_its_variables_filled_in(settings: Settings, name: str) -> None:
    found = read_store_yaml(settings.feast.repo / name, VARIABLES)

    assert found["project"] == "ragstone"
    assert found["materialization"]["online_write_batch_size"] == 5000
    assert found["online_store"]["connection_string"] == "127.0.0.1:6379,db=0"


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        ("offline_store:\n  type: ragstone.features.offline_store.LakeOfflineStore\n", "", "dask"),
        ("type: ragstone.features.offline_store.LakeOfflineStore", "type: dask", "dask"),
        ("materialization:", "materialisation:", "materialisation"),
        ("cache_ttl_seconds:", "cachemode:", "cachemode"),
        ("skip_dedup: true", "skip_dedup: false", "skip_dedup"),
        ("pull_latest_features: true", "pull_latest_features: false", "pull_latest_features"),
        ("  serve_features_while_materializing: true\n", "", "serve_features_while_materializing"),
        ("${RAGSTONE_FEAST_WRITE_BATCH_SIZE}", "0", "batch size"),
        ("${RAGSTONE_FEAST_REGISTRY}", "${REGISTRY_PATH:-here}", "REGISTRY_PATH"),
        ("coerce_tz_aware: false", "coerce_tz_aware: true", "UTC"),
    ],
)
def test_yaml_that_would_lose_rows_is_refused(
    tmp_path: Path, yaml_text: str, written: str, instead: str, told: str
) -> None:
    assert written in yaml_text
    broken = tmp_path / STORE_YAML
    broken.write_text(yaml_text.replace(written, instead), "utf-8")

    with pytest.raises(ConfigError, match=told) as refused:
        read_store_yaml(broken, VARIABLES)
    assert refused.value.where == str(broken)


def test_environment_names_every_variable_of_the_yaml(served: Settings) -> None:
    found = feast_environment(served)

    assert VARIABLES.keys() <= found.keys()
    assert read_store_yaml(served.feast.repo / STORE_YAML, found)["project"] == served.feast.project
