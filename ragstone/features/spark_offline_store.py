"""Feast's Spark offline store, for a cluster, held to the lake's rules: it shares a registry with LakeOfflineStore.

Named by feature_store.spark.yaml. Importing it needs pyspark; nothing else in the library does.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal

import pandas as pd
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.spark_offline_store.spark import SparkOfflineStore, SparkOfflineStoreConfig
from feast.infra.offline_stores.offline_store import RetrievalJob

from ragstone.features.labels import checked_labels, frame_labels
from ragstone.features.offline_store import lake_table, requested_joins
from ragstone.features.views import ENGAGEMENT
from ragstone.lake.delta import ensure_table

_COUNTED_FROM_EVENTS: Final = tuple(view.spec for view in ENGAGEMENT)
# Spark's own latest year; rows from the future count as they do in the state rule.
_NO_END: Final = datetime(9999, 12, 31, tzinfo=UTC)


class SparkLakeOfflineStoreConfig(SparkOfflineStoreConfig):
    """The yaml section of this store. Spark itself is configured by the properties file, as for every other job."""

    type: Literal["ragstone.features.spark_offline_store.SparkLakeOfflineStore"] = (
        "ragstone.features.spark_offline_store.SparkLakeOfflineStore"
    )


class SparkLakeOfflineStore(SparkOfflineStore):
    """Feast's Spark store, but no window brings an old row back, and no label's time is guessed."""

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,  # noqa: ARG004  (see below)
    ) -> RetrievalJob:
        """Return the newest row of every key that has one at or after `start_date`, tombstones included.

        `end_date` is no bound, for the reason given in LakeOfflineStore.
        """
        _create_if_absent(data_source)
        return SparkOfflineStore.pull_latest_from_table_or_query(
            config,
            data_source,
            join_key_columns,
            feature_name_columns,
            timestamp_field,
            created_timestamp_column,
            start_date,
            _NO_END,
        )

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: Any,
        registry: Any,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **dates: Any,
    ) -> RetrievalJob:
        """Return the labels with each feature as known at the label's time; `event_timestamp` comes back without zone.

        Raises UsageError for a frame of labels that `checked_labels` refuses.
        """
        for view in feature_views:
            _create_if_absent(view.batch_source)
        if isinstance(entity_df, pd.DataFrame):
            _, joins = requested_joins(feature_views, feature_refs, full_feature_names)
            keys = [join.label_key for join in joins]
            outputs = [name for join in joins for name in join.outputs.values()]
            labels = checked_labels(frame_labels(entity_df), keys, outputs)
            entity_df = labels.to_pandas()
        return SparkOfflineStore.get_historical_features(
            config,
            feature_views,
            feature_refs,
            entity_df,
            registry,
            project,
            full_feature_names,
            filter_by_created_timestamp,
            **dates,
        )

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:  # noqa: ARG002
        """Check that a source is a table of the lake."""
        lake_table(data_source)


def _create_if_absent(data_source: DataSource | None) -> None:
    """Create a table of events that was never written: Spark refuses a path without one, and reads it as empty then."""
    root, spec = lake_table(data_source)
    if spec in _COUNTED_FROM_EVENTS:
        ensure_table(root, spec)
