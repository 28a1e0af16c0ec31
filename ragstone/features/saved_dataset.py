"""A training set as a Feast saved dataset: named in the registry, found again by `FeatureStore.get_saved_dataset`."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.saved_dataset import SavedDataset

from ragstone.features.store import open_store
from ragstone.features.training_manifest import read_manifest
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings


def save_dataset(settings: Settings, name: str, rows: Path) -> None:
    """Name a set's Parquet file in the registry; the file stays where it is. Labels are features of the dataset too.

    Raises BadInputError without a manifest beside the file, UsageError for a set without rows.
    """
    manifest, store = read_manifest(rows), open_store(settings)
    if manifest.labels.first is None or manifest.labels.last is None:
        raise UsageError("an empty training set cannot be saved", where=str(rows), got="0 rows", wanted="rows")
    service = store.get_feature_service(manifest.service)
    views = [store.get_feature_view(view.name) for view in service.feature_view_projections]
    keys = list(dict.fromkeys(key for view in views for key in view.join_keys))
    names = [name for name in pq.read_schema(rows).names if name not in (*keys, "event_timestamp")]
    dataset = SavedDataset(
        name=name,
        features=[f"{manifest.service}:{feature}" for feature in names],
        join_keys=keys,
        storage=SavedDatasetFileStorage(path=str(rows.absolute())),
        tags={"ragstone_version": manifest.code_version, "written_by": manifest.as_of.written_by.isoformat()},
        feature_service_name=manifest.service,
    )
    dataset.min_event_timestamp, dataset.max_event_timestamp = manifest.labels.first, manifest.labels.last
    store.registry.apply_saved_dataset(dataset, store.project)
