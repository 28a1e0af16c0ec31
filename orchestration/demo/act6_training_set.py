"""Act 6: a training set as of before and after the edit: other features, and none from after its label."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from orchestration.demo.act4_edit_delete import Changes
from orchestration.demo.stage import Act, Panel, Stage, check
from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.features.training import training_set
from ragstone.lake.read import state

_TOLD: Final = ("char_count", "document_token_count", "change_count")
_LABEL_TIME: Final = "event_timestamp"
_TIME_SUFFIX: Final = "__event_timestamp"


def play(stage: Stage, changes: Changes) -> Act:
    """Pull the training set. Raises DemoError on a feature that its label could not have known."""
    began = time.perf_counter()
    labels = pa.Table.from_pylist(_labels(stage, changes))
    table = training_set(stage.settings, labels).table
    rows, views = table.to_pylist(), _features_by_view(table.column_names, labels.column_names)
    check(len(rows) == labels.num_rows, "a label was lost or doubled", got=len(rows), wanted=labels.num_rows)
    times = _times(rows, views)
    _check_edit_shows(rows, changes)
    panels = (
        Panel(
            "Labels and some of their features", ("document", "as of", "label", *_TOLD), [_told(row) for row in rows]
        ),
        Panel(
            "The event_timestamp of every feature, view by view, beside its label's",
            ("document", "view", "features'", "label's", "not later"),
            times,
        ),
        Panel("The features of each view", ("view", "features"), [(view, ", ".join(views[view])) for view in views]),
    )
    said = (
        "the edited document has other features before and after its edit; the deleted one has none after its delete",
        f"the times of all {sum(map(len, views.values())) * len(rows)} feature values are not later than their label's",
    )
    return Act(6, "A training set as of before and after", panels, said, time.perf_counter() - began)


def _labels(stage: Stage, changes: Changes) -> list[dict[str, Any]]:
    """Return a judged chunk of either document as of before and after; one that is gone by then keeps its last."""
    labels: list[dict[str, Any]] = []
    for chosen in (changes.edited, changes.deleted):
        document = chosen.document
        for when, at in (("before", changes.before), ("after", changes.after)):
            chunk = _first_chunk(stage, document.document_id, at) or labels[-1]["chunk_id"]
            keys = {"chunk_id": chunk, "document_id": document.document_id, _LABEL_TIME: at}
            labels.append({"document": document.source_uri, "as_of": when, **keys, "label": 1})
    return labels


def _first_chunk(stage: Stage, document_id: str, at: datetime) -> str | None:
    where = f"document_id = '{document_id}' AND ordinal = 0"
    rows = state(stage.settings.lake_root, SILVER_CHUNKS, AsOf(known_by=at), columns=("chunk_id",), where=where)
    return str(rows["chunk_id"][0].as_py()) if rows.num_rows else None


def _features_by_view(columns: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Return each view's features. The set holds, after the labels, every view's features followed by their time."""
    views: dict[str, list[str]] = {}
    features: list[str] = []
    for name in columns[len(labels) :]:
        if name.endswith(_TIME_SUFFIX):
            views[name.removesuffix(_TIME_SUFFIX)], features = features, []
        else:
            features.append(name)
    return views


def _times(rows: Sequence[dict[str, Any]], views: Iterable[str]) -> list[tuple[object, ...]]:
    compared: list[tuple[object, ...]] = []
    for row in rows:
        for view in views:
            known, label = row[f"{view}{_TIME_SUFFIX}"], row[_LABEL_TIME]
            check(known is not None, "a label has no features", where=row["document"], got=view, wanted="a row of it")
            check(
                known <= label,
                "a label sees a feature from after it",
                where=f"{row['document']}, {view}",
                got=known,
                wanted=f"not later than {label}",
            )
            compared.append((row["document"], view, f"{known:%F %T.%f}", f"{label:%F %T.%f}", "yes"))
    return compared


def _check_edit_shows(rows: Sequence[dict[str, Any]], changes: Changes) -> None:
    before, after = (_of(rows, changes.edited.document.document_id, when) for when in ("before", "after"))
    check(
        all(before[name] != after[name] for name in _TOLD),
        "the features do not tell the edit",
        got={name: after[name] for name in _TOLD},
        wanted=f"others than { ({name: before[name] for name in _TOLD}) }",
    )
    before, after = (_of(rows, changes.deleted.document.document_id, when) for when in ("before", "after"))
    check(
        bool(before["document_stats_active"]) and not after["document_stats_active"] and after["char_count"] is None,
        "the features do not tell the delete",
        got={"before": before["document_stats_active"], "after": after["document_stats_active"]},
        wanted={"before": True, "after": False},
    )


def _of(rows: Sequence[dict[str, Any]], document_id: str, when: str) -> dict[str, Any]:
    return next(row for row in rows if row["document_id"] == document_id and row["as_of"] == when)


def _told(row: dict[str, Any]) -> tuple[object, ...]:
    return (row["document"], row["as_of"], row["label"], *(row[name] for name in _TOLD))
