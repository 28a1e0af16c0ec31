"""Training sets: judged chunks with their features as they were when they were judged.

    from ragstone.features.training import training_set
    found = training_set(load_settings(), "labels.parquet")
    found.write("set.parquet")

It reads the same views through the same join as Feast's `get_historical_features` over the lake, and adds what a
training set needs beyond that: bounds on the past, pinned table versions, the time of each feature, and a manifest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from feast import FeatureService, FeatureStore, FeatureView
from feast.errors import FeatureServiceNotFoundException

from ragstone.contracts.names import TRAINING_SERVICE
from ragstone.contracts.state import NOW, AsOf
from ragstone.contracts.tables import SILVER_CHUNKS, TableSpec
from ragstone.features.labels import TIME_COLUMN, checked_labels
from ragstone.features.offline_store import requested_joins
from ragstone.features.point_in_time import ViewJoin, join_features
from ragstone.features.store import open_store
from ragstone.features.training_manifest import (
    Bounds,
    Labels,
    TrainingManifest,
    check_views,
    labels_of,
    manifest_path,
    read_manifest,
    sha256_of,
    view_hashes,
)
from ragstone.lake import read
from ragstone.lake.delta import ABSENT, table_version
from ragstone.lake.files import files_sql
from ragstone.runtime.errors import ContractError, UsageError
from ragstone.runtime.settings import Settings

_CHUNK_KEY, _DOCUMENT_KEY = "chunk_id", "document_id"


@dataclass(frozen=True)
class TrainingSet:
    """Labels with features, one row per label in the labels' order, and the manifest that lets it be pulled again.

    Beside the features there is a column `<view>__event_timestamp` per view: when what stands in the row was learned;
    null where nothing was known.
    """

    table: pa.Table
    manifest: TrainingManifest

    def write(self, path: Path | str) -> Path:
        """Write the rows as Parquet and the manifest beside them, and return the manifest's path."""
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.table, target)
        manifest = manifest_path(target)
        manifest.write_text(self.manifest.model_dump_json(indent=2) + "\n", "utf-8")
        return manifest


def training_set(
    settings: Settings,
    labels: pa.Table | Path | str,
    service: str = TRAINING_SERVICE,
    as_of: AsOf = NOW,
    created_before_label: bool = False,
) -> TrainingSet:
    """Return the features of a service for each label, as known at the label's `event_timestamp`.

    `labels` have `chunk_id` and `event_timestamp` (with time zone); a missing `document_id` is looked up. `as_of`
    bounds what any label may see: `known_by` when it was learned, `written_by` when it was written, now by default.
    `created_before_label` also leaves out what was written after a label's own time. Raises UsageError for an unknown
    service and for labels that cannot be joined.
    """
    store = open_store(settings)
    found = _service(store, service)
    bounds = Bounds(known_by=as_of.known_by, written_by=as_of.written_by or datetime.now(UTC))
    versions = _Versions(settings.lake_root)
    root, joins = requested_joins(_views(store, found), _references(found), full_feature_names=False, version=versions)
    timed = [_with_time(join, name) for join, name in zip(joins, _view_names(found), strict=True)]
    keys = list(dict.fromkeys(join.label_key for join in joins))
    file = None if isinstance(labels, pa.Table) else Path(labels).absolute()
    given = labels if isinstance(labels, pa.Table) else pq.read_table(labels)
    outputs = [name for join in timed for name in join.outputs.values()]
    checked = checked_labels(_with_documents(root, given, keys), keys, outputs)
    table = join_features(root, checked, TIME_COLUMN, timed, bounds.as_of(), created_before_label)
    _check_no_leak(table, _view_names(found))
    names = _view_names(found)
    manifest = TrainingManifest(
        service=service,
        code_version=version("ragstone"),
        made_at=datetime.now(UTC),
        as_of=bounds,
        created_before_label=created_before_label,
        views=view_hashes(settings, names),
        table_versions=versions.read,
        labels=_labels(checked, given.column_names, file),
        features=tuple(name for name in outputs if name not in map(_time_column, names)),
        rows=table.num_rows,
        rows_without={name: table[_time_column(name)].null_count for name in names},
    )
    return TrainingSet(table, manifest)


def training_set_again(settings: Settings, manifest: Path | str, labels: Path | str | None = None) -> TrainingSet:
    """Return the rows of an earlier training set, equal to what they were, from its manifest.

    `labels` says where the labels lie now, when not where they lay. Raises BadInputError for labels and manifests that
    do not fit, ContractError when the views have changed or the lake has lost rows, as after a purge.
    """
    wanted = read_manifest(Path(manifest))
    check_views(settings, wanted)
    file = labels_of(wanted, Path(labels) if labels else None)
    found = training_set(settings, file, wanted.service, wanted.as_of.as_of(), wanted.created_before_label)
    got = found.manifest
    if (got.features, got.rows_without) != (wanted.features, wanted.rows_without):
        raise ContractError(
            "a training set cannot be pulled again as it was",
            where=str(manifest),
            got=f"features {list(got.features)}, labels of which nothing is known {got.rows_without}",
            wanted=f"features {list(wanted.features)}, labels of which nothing is known {wanted.rows_without}",
            next_step="rows that are gone were purged: `ragstone documents ls`; other features are another service",
        )
    return found


class _Versions:
    """Pins each table at the version it has when it is first asked for, and remembers which."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.read: dict[str, int] = {}

    def __call__(self, spec: TableSpec) -> int | None:
        version = self.read.setdefault(spec.name, table_version(self._root, spec))
        return None if version == ABSENT else version


def _service(store: FeatureStore, name: str) -> FeatureService:
    try:
        return store.get_feature_service(name)
    except FeatureServiceNotFoundException as unknown:
        known = sorted(service.name for service in store.list_feature_services())
        raise UsageError(
            "there is no such feature service",
            where=store.project,
            got=name,
            wanted=", ".join(known) or "one that was applied",
            next_step="ragstone features apply",
        ) from unknown


def _view_names(service: FeatureService) -> list[str]:
    return [projection.name for projection in service.feature_view_projections]


def _views(store: FeatureStore, service: FeatureService) -> list[FeatureView]:
    return [store.get_feature_view(name) for name in _view_names(service)]


def _references(service: FeatureService) -> list[str]:
    return [f"{view.name}:{feature.name}" for view in service.feature_view_projections for feature in view.features]


def _with_time(join: ViewJoin, view: str) -> ViewJoin:
    return replace(join, outputs={**join.outputs, TIME_COLUMN: _time_column(view)})


def _time_column(view: str) -> str:
    return f"{view}__{TIME_COLUMN}"


def _with_documents(root: Path, labels: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Fill in the document of each chunk: it is part of the chunk's identity, so it tells nothing of the future."""
    names = labels.column_names
    if _DOCUMENT_KEY not in keys or _DOCUMENT_KEY in names or _CHUNK_KEY not in names:
        return labels
    chunks = pa.table({"row": pa.array(range(labels.num_rows)), _CHUNK_KEY: labels[_CHUNK_KEY]})
    found = read.query(
        root,
        f"""SELECT document FROM labels LEFT JOIN (
                SELECT chunk_id, min(document_id) AS document FROM {files_sql(root, SILVER_CHUNKS)}
                WHERE chunk_id IN (SELECT chunk_id FROM labels) GROUP BY chunk_id
            ) USING (chunk_id) ORDER BY row""",
        labels=chunks,
    )
    return labels.append_column(_DOCUMENT_KEY, found["document"])


def _check_no_leak(table: pa.Table, views: Sequence[str]) -> None:
    for view in views:
        later = pc.sum(pc.greater(table[_time_column(view)], table[TIME_COLUMN])).as_py()
        if later:
            raise ContractError(
                "a training row holds features from after its own time", where=view, got=f"{later} rows", wanted="none"
            )


def _labels(labels: pa.Table, columns: Sequence[str], file: Path | None) -> Labels:
    span = pc.min_max(labels[TIME_COLUMN]).as_py()
    return Labels(
        rows=labels.num_rows,
        first=span["min"],
        last=span["max"],
        columns=tuple(columns),
        path=file,
        sha256=None if file is None else sha256_of(file),
    )
