"""One registry, two offline stores: the same labels and the same windows must give the same values."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from feast import FeatureStore
from pyspark.sql import SparkSession

from ragstone.features.apply import apply
from ragstone.features.repository import SPARK_STORE_YAML
from ragstone.features.store import open_store
from ragstone.runtime.errors import UsageError
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from tests.factories import at
from tests.ragstone.features.lake import CHUNKS, GUIDE, KEPT, NOTES, write_history

pytestmark = pytest.mark.spark

FEATURES = [
    "chunk_metadata:text",
    "chunk_metadata:ordinal",
    "chunk_metadata:heading_path",
    "chunk_metadata:token_count",
    "chunk_metadata:chunk_active",
    "chunk_embedding_minilm_fp32:embedding",
    "document_access:acl",
    "document_stats:document_language",
    "document_stats:source_modified_at",
    "document_stats:change_count",
]


@pytest.fixture
def stores(served: Settings, spark: SparkSession) -> tuple[FeatureStore, FeatureStore]:
    write_history(served)
    apply(served)
    return open_store(served), open_store(served, SPARK_STORE_YAML)


def labels() -> pd.DataFrame:
    rows = [
        {"chunk_id": chunk["chunk_id"], "document_id": document, "event_timestamp": at(minute), "relevant": minute % 2}
        for minute in (-1, 0, 9, 10, 12, 17, 20, 40)
        for chunk in CHUNKS
        for document in (GUIDE, NOTES)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("created_before_label", [False, pytest.param(True, marks=pytest.mark.full)])
def test_point_in_time_joins_agree(stores: tuple[FeatureStore, FeatureStore], created_before_label: bool) -> None:
    ours, sparks = (
        _rows(
            store.get_historical_features(labels(), FEATURES, filter_by_created_timestamp=created_before_label).to_df()
        )
        for store in stores
    )

    assert ours == sparks
    assert len(ours) == len(labels())


@pytest.mark.full
def test_joins_without_labels_agree(stores: tuple[FeatureStore, FeatureStore]) -> None:
    features = [feature for feature in FEATURES if feature.startswith("chunk")]
    ours, sparks = (
        store.get_historical_features(features=features, start_date=at(5), end_date=at(20)).to_df() for store in stores
    )

    # The one difference: Feast's Spark store calls the time column of such labels entity_ts.
    assert _rows(ours) == _rows(sparks.rename(columns={"entity_ts": "event_timestamp"}))


def test_materializing_an_old_window_writes_the_same_bytes(
    served: Settings, stores: tuple[FeatureStore, FeatureStore]
) -> None:
    written = []
    for store in stores:
        with online_client(served) as client:
            client.flushall()
        store.materialize(at(-10), at(9))
        written.append(_hashes(served))

    ours, sparks = written
    assert ours == sparks
    assert len(ours) == len(CHUNKS) + 2


def test_spark_too_refuses_labels_without_zone(stores: tuple[FeatureStore, FeatureStore]) -> None:
    naive = pd.DataFrame({"chunk_id": [KEPT["chunk_id"]], "event_timestamp": pd.to_datetime(["2026-01-01"])})

    with pytest.raises(UsageError, match="zone"):
        stores[1].get_historical_features(naive, ["chunk_metadata:text"])


def _rows(frame: pd.DataFrame) -> list[str]:
    names = sorted(frame.columns)
    return sorted(repr([_plain(row[name]) for name in names]) for row in frame.to_dict("records"))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list):
        return value
    if value is None or pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return (value.tz_localize("UTC") if value.tzinfo is None else value).isoformat()
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _hashes(settings: Settings) -> dict[bytes, Any]:
    with online_client(settings) as client:
        return {key: client.hgetall(key) for key in client.scan_iter()}
