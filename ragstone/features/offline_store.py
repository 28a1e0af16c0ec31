"""Feast's offline store over the lake: Delta tables declared as Spark sources, read by deltalake and DuckDB, no JVM.

It accepts the sources that the Spark store of a cluster accepts, so both work on one registry. Where it differs on
purpose is told in docs/features.md: every window ends at now, so that no materialization brings an old row back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureView, FileSource, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob, RetrievalMetadata
from feast.repo_config import FeastConfigBaseModel
from feast.table_format import TableFormatType
from feast.utils import _get_requested_feature_views_to_features_dict, compute_non_entity_date_range

from ragstone.contracts.state import NOW, AsOf, newest_rows_sql, timestamp_literal
from ragstone.contracts.tables import STATIC_TABLES, TableSpec
from ragstone.features.labels import TIME_COLUMN, checked_labels, frame_labels
from ragstone.features.point_in_time import ViewJoin, join_features
from ragstone.features.views import chunk_embedding
from ragstone.lake import read
from ragstone.lake.files import files_sql
from ragstone.lake.schema import ARROW_TYPES, arrow_schema
from ragstone.runtime.errors import ConfigError, ContractError, UsageError

_EMBEDDINGS: Final = "silver/embeddings_"


class LakeOfflineStoreConfig(FeastConfigBaseModel):
    """The yaml section of this store: nothing but its name, because sources say where the lake is."""

    type: Literal["ragstone.features.offline_store.LakeOfflineStore"] = (
        "ragstone.features.offline_store.LakeOfflineStore"
    )


class LakeRetrievalJob(RetrievalJob):
    """A read that runs when its result is asked for."""

    def __init__(
        self, read_rows: Callable[[], pa.Table], full_feature_names: bool = False, metadata: Any = None
    ) -> None:
        self._read_rows = read_rows
        self._full_feature_names = full_feature_names
        self._metadata = metadata

    @property
    def full_feature_names(self) -> bool:
        """Return whether features carry their view's name in front."""
        return self._full_feature_names

    @property
    def on_demand_feature_views(self) -> list[Any]:
        """Return no view: none is computed on demand."""
        return []

    @property
    def metadata(self) -> Any:
        """Return Feast's description of a point-in-time join, None for a pull."""
        return self._metadata

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002  (Feast's signature)
        return self._read_rows()

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._to_arrow_internal(timeout).to_pandas()
        return frame


class LakeOfflineStore(OfflineStore):
    """Point-in-time joins and pulls over the lake."""

    supports_filter_by_created_timestamp = True

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,  # noqa: ARG004  (Feast's signature)
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: datetime,
        end_date: datetime,  # noqa: ARG004  (see below)
    ) -> RetrievalJob:
        """Return the newest row of every key that has one at or after `start_date`, tombstones included.

        `end_date` is not a bound: a window that ended in the past would write an old version over a newer one, and
        bring a deleted document back.
        """
        root, spec = lake_table(data_source)
        times = [timestamp_field, *filter(None, [created_timestamp_column])]
        columns = [*join_key_columns, *feature_name_columns, *times]
        bounds = f"{timestamp_field} >= {timestamp_literal(_utc(start_date))}"
        return LakeRetrievalJob(lambda: _newest_rows(root, spec, columns, bounds))

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,  # noqa: ARG004  (Feast's signature)
        data_source: DataSource,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Return every row within the window, both ends included; an end left out is open.

        A saved dataset is a file of its own, and is returned whole: its window is that of its rows.
        """
        if isinstance(data_source, FileSource):
            saved = [*join_key_columns, timestamp_field, *feature_name_columns]
            return LakeRetrievalJob(lambda: pq.read_table(data_source.path, columns=saved))
        root, spec = lake_table(data_source)
        times = [timestamp_field, *filter(None, [created_timestamp_column])]
        columns = ", ".join([*join_key_columns, *feature_name_columns, *times])
        bounds = [f"{timestamp_field} >= {timestamp_literal(_utc(start_date))}"] if start_date else []
        bounds += [f"{timestamp_field} <= {timestamp_literal(_utc(end_date))}"] if end_date else []
        where = " AND ".join(bounds) or "TRUE"
        return LakeRetrievalJob(
            lambda: read.query(root, f"SELECT {columns} FROM {files_sql(root, spec)} WHERE {where}")
        )

    @staticmethod
    def get_historical_features(
        config: RepoConfig,  # noqa: ARG004  (Feast's signature)
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | pa.Table | str | None,
        registry: Any,  # noqa: ARG004  (Feast's signature)
        project: str,  # noqa: ARG004  (Feast's signature)
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
    ) -> RetrievalJob:
        """Return the labels with each feature as known at the label's `event_timestamp`, in the labels' order.

        Without labels, every key with a row between the dates becomes one, at `end_date`. Raises UsageError for labels
        as SQL, and for those that `checked_labels` refuses.
        """
        root, joins = requested_joins(feature_views, feature_refs, full_feature_names)
        outputs = [name for join in joins for name in join.outputs.values()]
        keys = list(dict.fromkeys(join.label_key for join in joins))
        if entity_df is None:
            start, end = compute_non_entity_date_range(feature_views, start_date, end_date)
            labels = _keys_between(root, joins, keys, _utc(start), _utc(end))
        else:
            labels = _as_arrow(entity_df)
        labels = checked_labels(labels, keys, outputs)
        metadata = RetrievalMetadata(feature_refs, [name for name in labels.column_names if name != TIME_COLUMN])
        return LakeRetrievalJob(
            lambda: join_features(root, labels, TIME_COLUMN, joins, NOW, filter_by_created_timestamp),
            full_feature_names,
            metadata,
        )

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:  # noqa: ARG002
        """Check that a source is a table of the lake. Feast's own check would start a JVM."""
        lake_table(data_source)

    def get_table_column_names_and_types_from_data_source(
        self,
        config: RepoConfig,  # noqa: ARG002  (Feast's signature)
        data_source: DataSource,
    ) -> Iterable[tuple[str, str]]:
        """Return names and Spark types of a source's columns, as its contract has them."""
        _, spec = lake_table(data_source)
        return [(column.name, column.type) for column in spec.columns]

    @staticmethod
    def offline_write_batch(config: RepoConfig, feature_view: FeatureView, table: pa.Table, progress: Any) -> None:  # noqa: ARG004
        """Refuse: features enter the lake through the steps alone, past their audits."""
        raise UsageError("features are not written to the lake through Feast", where=feature_view.name)


def lake_table(data_source: DataSource | None) -> tuple[Path, TableSpec]:
    """Return the lake's root and the contract of a source's table. Raises ConfigError when it is none of the lake."""
    path = Path(getattr(data_source, "path", None) or "")
    table_format = getattr(data_source, "table_format", None)
    if not isinstance(data_source, SparkSource) or table_format is None or not path.is_absolute():
        raise _no_lake_table(data_source)
    if table_format.format_type is not TableFormatType.DELTA or table_format.properties:
        raise _no_lake_table(data_source)
    name = "/".join(path.parts[-2:])
    if name.startswith(_EMBEDDINGS):
        return path.parents[1], chunk_embedding(name.removeprefix(_EMBEDDINGS)).spec
    for spec in STATIC_TABLES:
        if spec.path == name:
            return path.parents[1], spec
    raise _no_lake_table(data_source)


def requested_joins(
    feature_views: Sequence[FeatureView],
    feature_refs: Sequence[str],
    full_feature_names: bool,
    version: Callable[[TableSpec], int | None] = lambda _spec: None,
) -> tuple[Path, list[ViewJoin]]:
    """Return the lake's root and one join per view for `view:feature` references, in their order."""
    requested, _ = _get_requested_feature_views_to_features_dict(list(feature_refs), list(feature_views), [])
    roots, joins = set(), []
    for view, features in requested.items():
        root, spec = lake_table(view.batch_source)
        roots.add(root)
        joins.append(_view_join(view, spec, features, full_feature_names, version(spec)))
    if len(roots) != 1:
        raise ContractError("features of one request lie in several lakes", got=sorted(map(str, roots)), wanted="one")
    return roots.pop(), joins


def _view_join(
    view: FeatureView, spec: TableSpec, features: Sequence[str], full_feature_names: bool, version: int | None
) -> ViewJoin:
    mapping = view.batch_source.field_mapping if view.batch_source else {}
    columns = {feature: column for column, feature in mapping.items()}
    renamed_keys = view.projection.join_key_map
    name = view.projection.name_alias or view.projection.name
    prefix = f"{name}__" if full_feature_names else ""
    return ViewJoin(
        spec=spec,
        label_key=renamed_keys.get(spec.keys[0], spec.keys[0]),
        outputs={columns.get(feature, feature): f"{prefix}{feature}" for feature in features},
        ttl=view.ttl or None,
        version=version,
    )


def _newest_rows(root: Path, spec: TableSpec, columns: Sequence[str], bounds: str) -> pa.Table:
    rows = f"(SELECT * FROM {files_sql(root, spec)} WHERE {bounds})"
    found = read.query(root, f"SELECT {', '.join(columns)} FROM ({newest_rows_sql(spec, rows)})")
    return found.cast(pa.schema([arrow_schema(spec).field(name) for name in columns]))


def _keys_between(
    root: Path, joins: Sequence[ViewJoin], keys: Sequence[str], start: datetime, end: datetime
) -> pa.Table:
    """Return as labels every key with a row between the dates; keys of another entity are null in its row."""
    within = AsOf(known_by=end).condition() + f" AND event_timestamp >= {timestamp_literal(start)}"
    parts = []
    for join in joins:
        own, mine = join.spec.keys[0], join.label_key
        selected = ", ".join(f"{own} AS {key}" if key == mine else f"NULL::VARCHAR AS {key}" for key in keys)
        parts.append(f"SELECT {selected} FROM {files_sql(root, join.spec)} WHERE {within}")
    found = read.query(root, " UNION ".join(parts) + f" ORDER BY {', '.join(keys)}")
    time = pa.repeat(pa.scalar(end, ARROW_TYPES["timestamp"]), found.num_rows)
    return found.append_column(TIME_COLUMN, time)


def _as_arrow(entity_df: pd.DataFrame | pa.Table | str) -> pa.Table:
    if isinstance(entity_df, pa.Table):
        return entity_df
    if isinstance(entity_df, pd.DataFrame):
        return frame_labels(entity_df)
    raise UsageError(
        "labels cannot be given as SQL", where="entity_df", got=type(entity_df).__name__, wanted="a table of labels"
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _no_lake_table(data_source: DataSource | None) -> ConfigError:
    return ConfigError(
        "a feature view's source is not a table of the lake",
        where=getattr(data_source, "name", None),
        got=f"{type(data_source).__name__} {getattr(data_source, 'path', None)}",
        wanted="SparkSource(path=<lake>/silver/<table>, table_format=feast.table_format.DeltaFormat())",
        next_step="ragstone features apply",
    )
