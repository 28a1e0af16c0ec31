"""Lake, online store and index held against each other: what `ragstone features audit` shows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ragstone.features.audit import audit
from ragstone.features.value_audit import audit_values
from ragstone.runtime.errors import NotFoundError
from ragstone.runtime.settings import Settings
from serving.index.audit import audit_index
from serving.index.snapshot import open_current


@dataclass(frozen=True)
class Audited:
    """A view, or the index. Keys and times are compared of all rows, values of the rows `checked`; the rest are counts.

    `newest_event` is the newest event time of a living row. The index has rows to check alone.
    """

    view: str
    lake_rows: int
    online_rows: int
    missing: int
    stale: int
    dead: int
    checked: int
    differing: int
    newest_event: datetime | None

    @property
    def agrees(self) -> bool:
        """Return whether nothing differs."""
        return not (self.missing or self.stale or self.dead or self.differing)


def audit_everything(settings: Settings, every: bool) -> list[Audited]:
    """Return every view, then the published index if there is one; values of a sample, or of `every` row."""
    rows = None if every else settings.feast.audit_rows
    values = {result.view: result for result in audit_values(settings, rows)}
    found = [
        Audited(
            view=result.view,
            lake_rows=result.lake_rows,
            online_rows=result.online_rows,
            missing=len(result.missing),
            stale=len(result.stale),
            dead=len(result.dead),
            checked=values[result.view].checked,
            differing=len(values[result.view].differing),
            newest_event=result.newest_event,
        )
        for result in audit(settings)
    ]
    return found + _index(settings, rows)


def _index(settings: Settings, rows: int | None) -> list[Audited]:
    try:
        snapshot = open_current(settings)
    except NotFoundError:
        return []
    result = audit_index(snapshot, settings, rows)
    count = snapshot.manifest.count
    differing = len(result.differing)
    return [Audited(f"index {result.version}", count, count, 0, 0, 0, result.checked, differing, None)]
