"""The Feast repository as these settings see it: its variables, and its yaml after a check that Feast does not make."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import yaml

from ragstone.runtime.errors import ConfigError
from ragstone.runtime.redis_server import redis_address
from ragstone.runtime.settings import Settings

STORE_YAML: Final = "feature_store.yaml"
SPARK_STORE_YAML: Final = "feature_store.spark.yaml"

# What may stand in the yaml. Feast itself takes a misspelt key in silence and goes on with its default.
_ALLOWED: Final[Mapping[str, frozenset[str] | None]] = {
    "project": None,
    "provider": None,
    "coerce_tz_aware": None,
    "entity_key_serialization_version": None,
    "registry": frozenset(
        {"registry_type", "path", "cache_ttl_seconds", "cache_mode", "serve_features_while_materializing"}
    ),
    "offline_store": frozenset({"type", "spark_conf", "staging_location", "region"}),
    "online_store": frozenset(
        {"type", "redis_type", "sentinel_master", "connection_string", "skip_dedup", "full_scan_for_deletion"}
    ),
    "batch_engine": frozenset({"type"}),
    "materialization": frozenset({"pull_latest_features", "online_write_batch_size"}),
    "openlineage": frozenset(
        {"enabled", "transport_type", "transport_url", "transport_endpoint", "api_key", "namespace", "producer"}
        | {"emit_on_apply", "emit_on_materialize"}
    ),
}
_OFFLINE_STORES: Final = (
    "ragstone.features.offline_store.LakeOfflineStore",
    "ragstone.features.spark_offline_store.SparkLakeOfflineStore",
)
# (section, key, value): each of these, left out or changed, loses or revives rows without a word.
_DEMANDED: Final[tuple[tuple[str, str, Any], ...]] = (
    ("registry", "serve_features_while_materializing", True),
    ("online_store", "skip_dedup", True),
    ("materialization", "pull_latest_features", True),
)
# For what Feast does not read then; Ragstone refuses a variable that is not set.
_NONE: Final = "none"
_SQLITE: Final = "sqlite:///"
_VARIABLE: Final = re.compile(r"\$(?:\{([^}]*)\}|(\w+))")


def feast_environment(settings: Settings) -> dict[str, str]:
    """Return the variables under which plain `feast`, run in the repository, works on these settings' home.

    Starts the home's Redis when there is none, and makes the folder of the registry. `FEAST_REDIS_CONNECTION` holds the
    password of Redis.
    """
    registry, address = registry_file(settings), redis_address(settings)
    if registry is not None:
        registry.parent.mkdir(parents=True, exist_ok=True)
    return {
        "RAGSTONE_HOME": str(settings.home),
        "RAGSTONE_ENV": settings.env,
        "RAGSTONE_CONF": str(settings.conf),
        "RAGSTONE_EMBEDDING_SPACE": settings.embedding.space,
        "RAGSTONE_FEAST_PROJECT": settings.feast.project,
        "RAGSTONE_FEAST_REGISTRY": settings.registry_url,
        "RAGSTONE_FEAST_WRITE_BATCH_SIZE": str(settings.feast.write_batch_size),
        "FEAST_REDIS_CONNECTION": address.feast_connection_string,
        "FEAST_REDIS_TYPE": address.feast_redis_type,
        "FEAST_SENTINEL_MASTER": address.sentinels.master if address.sentinels else _NONE,
        "FEAST_OPENLINEAGE_ENABLED": "true" if settings.feast.openlineage_url else "false",
        "FEAST_OPENLINEAGE_URL": settings.feast.openlineage_url or _NONE,
    }


def registry_file(settings: Settings) -> Path | None:
    """Return the file of an SQLite registry, None for a registry on a server."""
    file = settings.registry_url.removeprefix(_SQLITE)
    return None if file == settings.registry_url else Path(file)


def read_store_yaml(path: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return a Feast yaml with its variables filled in, ready for Feast's RepoConfig.

    Raises ConfigError for an unset variable, an unknown key, a missing or unfit offline store, a missing batch size,
    and for each setting without which rows are lost or revived.
    """
    raw = yaml.safe_load(_expanded(path, variables))
    if not isinstance(raw, dict):
        raise _refused(path, "it is not a mapping", got=type(raw).__name__, wanted=sorted(_ALLOWED))
    _check_keys(path, raw)
    _check_offline_store(path, raw)
    _check_demands(path, raw)
    _check_lineage(path, raw)
    return raw


def _expanded(path: Path, variables: Mapping[str, str]) -> str:
    text = "\n".join(line for line in path.read_text("utf-8").splitlines() if not line.lstrip().startswith("#"))
    named = {braced or plain for braced, plain in _VARIABLE.findall(text)}
    unset = sorted(named - set(variables))
    if unset:
        raise _refused(path, "it names variables that are not set", got=unset, wanted=sorted(variables))
    return _VARIABLE.sub(lambda found: variables[found[1] or found[2]], text)


def _check_keys(path: Path, raw: Mapping[str, Any]) -> None:
    for name, value in raw.items():
        if name not in _ALLOWED:
            raise _refused(path, "it has a key that is not known here", got=name, wanted=sorted(_ALLOWED))
        inner = _ALLOWED[name]
        unknown = sorted(set(value) - inner) if inner is not None and isinstance(value, dict) else []
        if inner is not None and unknown:
            raise _refused(path, f"{name} has keys that are not known here", got=unknown, wanted=sorted(inner))


def _check_offline_store(path: Path, raw: Mapping[str, Any]) -> None:
    store = raw.get("offline_store")
    kind = store.get("type") if isinstance(store, dict) else store
    if kind not in _OFFLINE_STORES:
        raise _refused(
            path,
            "its offline store would misread the lake",
            got=kind or "none, which means dask",
            wanted=" or ".join(_OFFLINE_STORES),
        )


def _check_demands(path: Path, raw: Mapping[str, Any]) -> None:
    for section, key, wanted in _DEMANDED:
        got = (raw.get(section) or {}).get(key)
        if got != wanted:
            raise _refused(path, f"{section}.{key} must be set", got=got, wanted=wanted)
    if raw.get("coerce_tz_aware") is not False:
        raise _refused(path, "times without zone would be taken for UTC", got=raw.get("coerce_tz_aware"), wanted=False)
    size = (raw.get("materialization") or {}).get("online_write_batch_size")
    if not isinstance(size, int) or size < 1:
        raise _refused(
            path, "without a batch size only the first batch is written", got=size, wanted="a number of rows"
        )


def _check_lineage(path: Path, raw: Mapping[str, Any]) -> None:
    if (raw.get("openlineage") or {}).get("enabled") and find_spec("openlineage") is None:
        # Feast would only log that it tells nobody.
        raise _refused(path, "OpenLineage is not installed", got="openlineage.enabled", wanted="openlineage-python")


def _refused(path: Path, why: str, *, got: object, wanted: object) -> ConfigError:
    return ConfigError(f"the feature store's yaml is refused: {why}", where=str(path), got=got, wanted=wanted)
