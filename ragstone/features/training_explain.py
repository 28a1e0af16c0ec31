"""Where each value of a training row comes from: the table row it was read from, that row's times, run and document."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq

from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import RUNS, SILVER_DOCUMENTS, TableSpec
from ragstone.features.labels import TIME_COLUMN
from ragstone.features.training_manifest import TrainingManifest, read_manifest
from ragstone.features.views import View, views
from ragstone.lake import read
from ragstone.lake.history import STATE_COLUMNS, History
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings

_DOCUMENT_KEY: Final = "document_id"


@dataclass(frozen=True)
class Value:
    """One feature of a row, as the set has it, and whether the lake still gives the same."""

    feature: str
    value: Any
    column: str
    same_in_lake: bool


@dataclass(frozen=True)
class ViewOrigin:
    """What one view gave to a row. Times and run are None where nothing was known, or where it is gone by now.

    `event_timestamp` is when the fact was learned, `created_timestamp` when the row was written, by `run_id` in `step`.
    """

    view: str
    table: str
    key: str | None
    event_timestamp: datetime | None
    created_timestamp: datetime | None
    run_id: str | None
    step: str | None
    values: tuple[Value, ...]


@dataclass(frozen=True)
class SourceDocument:
    """The document of a row as it was known at the label's time."""

    document_id: str
    source: str | None
    source_uri: str | None
    content_hash: str | None


@dataclass(frozen=True)
class RowOrigin:
    """A row of a training set: its label, and where every value comes from."""

    row: int
    label: dict[str, Any]
    document: SourceDocument | None
    views: tuple[ViewOrigin, ...]


def explain(settings: Settings, rows: Path, row: int) -> RowOrigin:
    """Return where the values of one row of a set come from; rows count from 0. `rows` is the set's Parquet file.

    Raises UsageError when there is no such row, BadInputError without a manifest beside the file.
    """
    manifest = read_manifest(rows)
    if not 0 <= row < manifest.rows:
        raise UsageError("there is no such row", where=str(rows), got=row, wanted=f"0 to {manifest.rows - 1}")
    content = pq.read_table(rows).slice(row, 1).to_pylist()[0]
    bounds = _bounds(manifest, content[TIME_COLUMN])
    declared = [view for view in views(settings) if view.name in manifest.views]
    return RowOrigin(
        row=row,
        label={name: content[name] for name in manifest.labels.columns},
        document=_document(settings, content.get(_DOCUMENT_KEY), bounds),
        views=tuple(_origin(settings, view, content, bounds, manifest) for view in declared),
    )


def _bounds(manifest: TrainingManifest, label_time: datetime) -> AsOf:
    known, written = manifest.as_of.known_by, manifest.as_of.written_by
    if manifest.created_before_label:
        written = min(written, label_time)
    return AsOf(known_by=min(filter(None, (known, label_time))), written_by=written)


def _origin(
    settings: Settings, view: View, content: dict[str, Any], bounds: AsOf, manifest: TrainingManifest
) -> ViewOrigin:
    key = content[view.join_key]
    found = _newest(settings, view.spec, key, bounds)
    names = {column.name: column.feature or column.name for column in view.columns}
    run_id = found.get("run_id")
    return ViewOrigin(
        view=view.name,
        table=view.spec.name,
        key=key,
        event_timestamp=found.get("event_timestamp"),
        created_timestamp=found.get("created_timestamp"),
        run_id=run_id,
        step=_step(settings, run_id, view),
        values=tuple(
            Value(name, content[name], f"{view.spec.name}.{column}", found.get(column) == content[name])
            for column, name in names.items()
            if name in manifest.features
        ),
    )


def _document(settings: Settings, document_id: str | None, bounds: AsOf) -> SourceDocument | None:
    if document_id is None:
        return None
    found = _newest(settings, SILVER_DOCUMENTS, document_id, bounds)
    return SourceDocument(document_id, *(found.get(name) for name in ("source", "source_uri", "content_hash")))


def _newest(settings: Settings, spec: TableSpec, key: str | None, bounds: AsOf) -> dict[str, Any]:
    """Return the row that counts for a key within the bounds, a tombstone too; empty when there is none."""
    columns = [name for name in spec.column_names if name not in (*spec.keys, *STATE_COLUMNS)]
    keys = [] if key is None else [key]
    return History(settings.lake_root, spec, columns).newest(keys, bounds).get(key or "", {})


def _step(settings: Settings, run_id: str | None, view: View) -> str | None:
    """Return the step of a run that wrote the view's table."""
    if run_id is None:
        return None
    sql = "SELECT step FROM runs WHERE run_id = ? AND map_contains(tables_written, ?)"
    found = read.query(settings.lake_root, sql, (run_id, view.spec.name), runs=RUNS)
    return str(found["step"][0]) if found.num_rows else None
