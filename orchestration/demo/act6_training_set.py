"""Act 6: a training set as of before and after the edit: other features, and none from after its label."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from orchestration.demo.act4_edit_delete import Changes
from orchestration.demo.stage import Act, Panel, Stage, check
from ragstone.contracts.names import CHUNK_METADATA_VIEW, DOCUMENT_STATS_VIEW, TRAINING_SERVICE, embedding_view
from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.features.training import event_time_column, training_set
from ragstone.lake.read import state

_FEATURES: Final = ("char_count", "document_token_count", "change_count")


def play(stage: Stage, changes: Changes) -> Act:
    """Pull the training set. Raises DemoError on a feature that its label could not have known."""
    began = time.perf_counter()
    labels = pa.Table.from_pylist(_labels(stage, changes))
    rows = training_set(stage.settings, labels, service=TRAINING_SERVICE, event_times=True).to_pylist()
    check(len(rows) == labels.num_rows, "a label was lost or doubled", got=len(rows), wanted=labels.num_rows)
    views = (CHUNK_METADATA_VIEW, embedding_view(stage.settings.embedding.space), DOCUMENT_STATS_VIEW)
    compared = [(row, view, row[event_time_column(view)]) for row in rows for view in views]
    late = [(view, at, row["event_timestamp"]) for row, view, at in compared if at and at > row["event_timestamp"]]
    check(not late, "a label sees a feature from after it", got=late[:1], wanted="no feature later than its label")
    check(any(at for _, _, at in compared), "no label has a feature", got=0, wanted="at least 1")
    before, after = (_of(rows, changes.edited.document.document_id, when) for when in ("before", "after"))
    check(
        all(before[name] != after[name] for name in _FEATURES),
        "the features do not tell the edit",
        got={name: after[name] for name in _FEATURES},
        wanted=f"other than { ({name: before[name] for name in _FEATURES}) }",
    )
    gone = _of(rows, changes.deleted.document.document_id, "after")
    check(not gone["document_stats_active"], "a deleted document has features", got=gone["title"], wanted="none")
    panels = (
        Panel(
            "Labels and their features", ("document", "as of", "label", *_FEATURES), [_features(row) for row in rows]
        ),
        Panel(
            "No leak: every feature's time beside its label's",
            ("document", "label's event_timestamp", "feature view", "feature's event_timestamp", "not later"),
            [(row["document"], row["event_timestamp"], view, at or "no row yet", "yes") for row, view, at in compared],
        ),
    )
    said = (
        "the edited document has other features before and after its edit; the deleted one has none after its delete",
        f"all {sum(at is not None for _, _, at in compared)} feature times are not later than their label's",
    )
    return Act(6, "A training set as of before and after", panels, said, time.perf_counter() - began)


def _labels(stage: Stage, changes: Changes) -> list[dict[str, Any]]:
    """Return a judged chunk of either document, as of before and after: the first chunk it had then."""
    labels = []
    for when, at in (("before", changes.before), ("after", changes.after)):
        for chosen in (changes.edited, changes.deleted):
            document = chosen.document
            labels.append(
                {
                    "document": document.source_uri,
                    "as_of": when,
                    "chunk_id": _first_chunk(stage, document.document_id, at)
                    or _first_chunk(stage, document.document_id, changes.before),
                    "document_id": document.document_id,
                    "event_timestamp": at,
                    "label": 1,
                }
            )
    return labels


def _first_chunk(stage: Stage, document_id: str, at: datetime) -> str | None:
    where = f"document_id = '{document_id}' AND ordinal = 0"
    rows = state(stage.settings.lake_root, SILVER_CHUNKS, AsOf(known_by=at), columns=("chunk_id",), where=where)
    return str(rows["chunk_id"][0].as_py()) if rows.num_rows else None


def _of(rows: list[dict[str, Any]], document_id: str, when: str) -> dict[str, Any]:
    return next(row for row in rows if row["document_id"] == document_id and row["as_of"] == when)


def _features(row: dict[str, Any]) -> tuple[object, ...]:
    return (row["document"], row["as_of"], row["label"], *(row[name] for name in _FEATURES))
