"""Feast's local compute engine with a short way for views of the lake: Arrow batches in, Redis commands out.

Named as `batch_engine` in feature_store.yaml, so that plain `feast materialize` takes it too. What arrives in Redis is
byte by byte what Feast's own engine writes; the rows stream, so memory does not grow with them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.online_stores.redis import RedisOnlineStore, RedisType
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel, RepoConfig
from feast.value_type import ValueType

from ragstone.contracts.state import timestamp_literal
from ragstone.contracts.tables import TableSpec
from ragstone.features.offline_store import LakeOfflineStore, lake_table
from ragstone.features.redis_layout import encode_time, entity_key, feature_field, time_field
from ragstone.features.redis_wire import hset_commands, send
from ragstone.features.value_bytes import Encoder, encoder
from ragstone.lake.newest import newest_batches
from ragstone.lake.read import BATCH_ROWS
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.metrics import (
    FEATURE_VIEW_BYTES,
    FEATURE_VIEW_NEWEST_EVENT,
    FEATURE_VIEW_ROWS,
    FEATURE_VIEW_SECONDS,
)

_TYPE: Final = "ragstone.features.compute_engine.LakeComputeEngine"


class LakeComputeEngineConfig(FeastConfigBaseModel):
    """The yaml section of this engine: nothing but its name."""

    type: Literal["ragstone.features.compute_engine.LakeComputeEngine"] = (
        "ragstone.features.compute_engine.LakeComputeEngine"
    )


@dataclass(frozen=True)
class ViewRows:
    """A view whose rows can be written the short way: its table, and its features as (column, field, encoder)."""

    root: Path
    spec: TableSpec
    view: str
    join_key: str
    time_column: str
    features: tuple[tuple[str, bytes, Encoder], ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """Return what is read of the table: key, time, features."""
        return (self.join_key, self.time_column, *(column for column, _, _ in self.features))

    def commands(self, project: str, batch: pa.RecordBatch) -> Iterable[bytes]:
        """Return per row of a batch with `columns` the packed command that writes it."""
        keys = [entity_key(project, self.join_key, key) for key in batch.column(0).to_pylist()]
        times = list(map(_time, batch.column(1).to_pylist()))
        values = [encode(batch.column(2 + place)) for place, (_, _, encode) in enumerate(self.features)]
        fields = [time_field(self.view), *(field for _, field, _ in self.features)]
        return hset_commands(keys, fields, [times, *values])


class LakeComputeEngine(LocalComputeEngine):
    """Materializes views of the lake into Redis batch by batch; any other view, store or setting goes Feast's way."""

    def __init__(self, **kwargs: Any) -> None:
        """Take what Feast gives every engine. The name in the yaml comes too, and says nothing more."""
        kwargs.pop("type", None)
        super().__init__(**kwargs)

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        rows = view_rows(task.feature_view, self.repo_config) if _stores_are_ours(self) else None
        if rows is None:
            return super()._materialize_one(registry, task, **kwargs)
        self._write(rows, task.start_time)
        job_id = f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
        return LocalMaterializationJob(job_id=job_id, status=MaterializationJobStatus.SUCCEEDED)

    def _write(self, rows: ViewRows, start: datetime) -> None:
        config = self.repo_config
        client = self.online_store._get_client(config.online_store)  # type: ignore[attr-defined]
        moment = start.replace(tzinfo=UTC) if start.tzinfo is None else start
        where = f"{rows.time_column} >= {timestamp_literal(moment)}"
        size = config.materialization_config.online_write_batch_size or BATCH_ROWS
        began, written, sent = time.perf_counter(), 0, 0
        newest: datetime | None = None
        for batch in newest_batches(rows.root, rows.spec, rows.columns, where, size):
            sent += send(client, rows.commands(config.project, batch))
            written += batch.num_rows
            newest = max(filter(None, (newest, pc.max(batch.column(1)).as_py())))
        _tell(rows.view, written, sent, time.perf_counter() - began, newest)


def _tell(view: str, rows: int, sent_bytes: int, seconds: float, newest: datetime | None) -> None:
    FEATURE_VIEW_ROWS.labels(view).set(rows)
    FEATURE_VIEW_BYTES.labels(view).set(sent_bytes)
    FEATURE_VIEW_SECONDS.labels(view).set(seconds)
    if newest is not None:
        FEATURE_VIEW_NEWEST_EVENT.labels(view).set(newest.timestamp())


def view_rows(view: FeatureView, config: RepoConfig) -> ViewRows | None:
    """Return how a view's rows are written the short way, None when they must go Feast's.

    They must when the view does more than name columns of a lake table, has a type not known here, or is to be written
    otherwise than once per key without a look at what is there.
    """
    if not (_is_plain(view) and _writes_blindly(config)):
        return None
    (key,), source = view.entity_columns, view.batch_source
    if source is None:
        return None
    root, spec = lake_table(source)
    columns = {feature: column for column, feature in source.field_mapping.items()}
    schema, features = arrow_schema(spec), []
    for feature in view.features:
        column = columns.get(feature.name, feature.name)
        encode = encoder(feature.dtype.to_value_type(), schema.field(column).type)
        if encode is None:
            return None
        features.append((column, feature_field(view.name, feature.name), encode))
    return ViewRows(root, spec, view.name, key.name, source.timestamp_field, tuple(features))


def _stores_are_ours(engine: LocalComputeEngine) -> bool:
    return isinstance(engine.offline_store, LakeOfflineStore) and isinstance(engine.online_store, RedisOnlineStore)


def _is_plain(view: FeatureView) -> bool:
    """Return whether a view is a table's columns and nothing else, under one text key, for the online store alone."""
    keys = view.entity_columns
    does_more = (
        type(view) is not FeatureView,
        getattr(view, "source_views", None),
        view.stream_source,
        view.ttl,
        view.offline,
        not view.online,
        view.enable_validation,
        any(feature.vector_index for feature in view.features),
        len(keys) != 1 or keys[0].dtype.to_value_type() is not ValueType.STRING,
    )
    return not any(does_more)


def _writes_blindly(config: RepoConfig) -> bool:
    store = config.online_store
    return bool(
        store.skip_dedup
        # A cluster wants each command at the node of its key.
        and store.redis_type != RedisType.redis_cluster
        and not store.key_ttl_seconds
        and config.materialization_config.pull_latest_features
        and not config.registry.enable_online_feature_view_versioning
        and config.entity_key_serialization_version == 3
    )


_time = lru_cache(maxsize=65_536)(encode_time)
