"""One materialization through Feast: apply, a window per view, sweep, compare. Imported only when there is work."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from feast import FeatureStore

from ragstone.contracts.records import StepResult
from ragstone.contracts.state import timestamp_literal
from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.features.access import write_access_online
from ragstone.features.apply import apply_to
from ragstone.features.audit import ViewAudit, audit, sweep
from ragstone.features.marker import Marker, write_marker
from ragstone.features.materialize import STEP, UNIT
from ragstone.features.store import open_store
from ragstone.features.views import ACCESS, views
from ragstone.features.windows import Window, window
from ragstone.lake import read
from ragstone.lake.commits import content_version
from ragstone.lake.delta import ABSENT
from ragstone.lake.files import earliest_event_since
from ragstone.runtime.logging import get_logger
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings

_log = get_logger(__name__)


def refresh(settings: Settings, done: Marker, wanted: Marker) -> StepResult:
    """Bring Redis from `done` to `wanted`, record that as the new marker, and return what was done.

    Killed at any point it leaves the old marker, so the next run takes the same windows and what came since.
    """
    store = open_store(settings)
    differences = apply_to(store, settings)
    windows = [
        window(settings.lake_root, view, done.materialized_version(view.name, wanted.views[view.name]))
        for view in views(settings)
    ]
    for taken in windows:
        _materialize(store, taken)
    access_version = _follow_access(settings, wanted.views[ACCESS.name].version)
    audits, swept = _settle(settings, store)
    states = {**wanted.views, ACCESS.name: replace(wanted.views[ACCESS.name], version=access_version)}
    reached = replace(wanted, materialized_at=datetime.now(UTC).isoformat(), views=states)
    with online_client(settings) as client:
        write_marker(client, settings.feast.project, reached)
    changes = [f"{change.kind} {change.name} {change.change}" for change in differences]
    return _result(reached, windows, audits, {"swept": swept, "definitions": changes})


def _materialize(store: FeatureStore, taken: Window) -> None:
    if taken.start is None:
        return
    # A row may carry a time ahead of this clock; Feast refuses a window that ends before it starts.
    end = max(datetime.now(UTC), taken.start)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        store.materialize(taken.start, end, [taken.view.name])
    _log.info("view materialized", view=taken.view.name, rows=taken.rows, start=taken.start.isoformat())


def _follow_access(settings: Settings, version: int) -> int:
    """Write rows of silver.document_access that were committed since `version` and return the version then reached.

    A delete that came between Feast's read and its write was overwritten online; this puts it back at once.
    """
    root = settings.lake_root
    while (newest := content_version(root, DOCUMENT_ACCESS)) != version:
        start = earliest_event_since(root, DOCUMENT_ACCESS, version)
        if start is not None:
            rows = read.newest_rows(root, DOCUMENT_ACCESS, where=f"event_timestamp >= {timestamp_literal(start)}")
            write_access_online(settings, rows.to_pylist())
        version = newest
    return version


def _settle(settings: Settings, store: FeatureStore) -> tuple[list[ViewAudit], dict[str, int]]:
    """Return the comparison of lake and Redis after dead rows were removed and lost ones written again."""
    found = audit(settings)
    by_name = {view.name: view for view in views(settings)}
    lost = [by_name[result.view] for result in found if result.missing or result.stale]
    for view in lost:
        _log.warning("rows were missing online, the view is filled again", view=view.name)
        _materialize(store, window(settings.lake_root, view, ABSENT))
    if lost:
        found = audit(settings)
    swept = sweep(settings, found)
    return (audit(settings) if any(swept.values()) else found), swept


def _result(
    reached: Marker, windows: Sequence[Window], audits: Sequence[ViewAudit], details: dict[str, Any]
) -> StepResult:
    accepted = sum(taken.rows for taken in windows)
    for result in audits:
        if not result.agrees:
            _log.warning(
                "lake and online store differ", view=result.view, lake=result.lake_rows, online=result.online_rows
            )
    rows = {result.view: {"lake": result.lake_rows, "online": result.online_rows} for result in audits}
    return StepResult(
        STEP,
        "ok",
        UNIT,
        accepted=accepted,
        unchanged=sum(taken.unchanged for taken in windows),
        written=accepted,
        tables_read=reached.table_versions(),
        details={**details, "rows": rows},
    )
