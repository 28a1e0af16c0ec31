"""A feature view per silver table, with the table's contract as its schema."""

from __future__ import annotations

import warnings
from datetime import timedelta
from pathlib import Path
from typing import Final

from feast import FeatureView, Field
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

# Feast has two classes of this name; the one in feast.data_format is silently ignored by a SparkSource.
from feast.table_format import DeltaFormat
from feast.types import Array, Bool, FeastType, Float32, Float64, Int32, Int64, String, UnixTimestamp

from feature_repo.objects.entities import ENTITIES
from ragstone.contracts import tables
from ragstone.contracts.tables import Column
from ragstone.features.views import CREATED_TIMESTAMP, EVENT_TIMESTAMP, View

FEAST_TYPES: Final[dict[str, FeastType]] = {
    tables.STRING: String,
    tables.INT: Int32,
    tables.LONG: Int64,
    tables.DOUBLE: Float64,
    tables.BOOLEAN: Bool,
    tables.TIMESTAMP: UnixTimestamp,
    tables.STRINGS: Array(String),
    tables.FLOATS: Array(Float32),
}


def feature_view(view: View, lake_root: Path) -> FeatureView:
    """Return the Feast declaration of a view. Its features never expire: the state rule decides what counts."""
    key = view.spec.column(view.join_key)
    return FeatureView(
        name=view.name,
        entities=[ENTITIES[view.entity]],
        schema=[_field(key, key.name), *(_field(column, column.feature or column.name) for column in view.columns)],
        source=_source(view, lake_root),
        ttl=timedelta(0),
        online=True,
        description=view.spec.grain,
    )


def _field(column: Column, name: str) -> Field:
    return Field(name=name, dtype=FEAST_TYPES[column.type], description=column.doc)


def _source(view: View, lake_root: Path) -> SparkSource:
    with warnings.catch_warnings():
        # Feast calls the Spark source experimental at every use; that it works here is what the tests are for.
        warnings.simplefilter("ignore", RuntimeWarning)
        return SparkSource(
            name=view.spec.name.replace(".", "_"),
            path=str(lake_root / view.spec.path),
            table_format=DeltaFormat(),
            timestamp_field=EVENT_TIMESTAMP,
            created_timestamp_column=CREATED_TIMESTAMP,
            field_mapping=view.renamed,
            description=view.spec.grain,
        )
