"""An audit while the service runs: sampled rows online and vectors of the index against the lake, now and then."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import redis

from ragstone.features.value_audit import audit_values
from ragstone.runtime.errors import RagstoneError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from serving.index.audit import audit_index
from serving.index.snapshot import IndexSnapshot


@dataclass(frozen=True)
class AuditOutcome:
    """What an audit found: when, how many rows it looked at, and how many of them differ, by view and `index`."""

    at: datetime
    checked: int
    mismatches: dict[str, int]

    @property
    def agrees(self) -> bool:
        """Return whether every row looked at was the same everywhere."""
        return not self.mismatches


class BackgroundAudit:
    """Audits from a thread of its own, the first time an interval after the start; no request ever waits for it."""

    def __init__(self, settings: Settings, snapshot: Callable[[], IndexSnapshot]) -> None:
        self._settings = settings
        self._snapshot = snapshot
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: AuditOutcome | None = None

    @property
    def last(self) -> AuditOutcome | None:
        """Return what the last audit found, None before the first."""
        return self._last

    def audit(self) -> AuditOutcome:
        """Audit now, and return what was found. Raises redis.RedisError, RagstoneError without Redis or an index."""
        rows = self._settings.feast.audit_rows
        found = {result.view: result for result in audit_values(self._settings, rows)}
        index = audit_index(self._snapshot(), self._settings, rows)
        mismatches = {view: len(result.differing) for view, result in found.items() if not result.agrees}
        if not index.agrees:
            mismatches["index"] = len(index.differing)
        checked = index.checked + sum(result.checked for result in found.values())
        self._last = AuditOutcome(datetime.now(UTC), checked, mismatches)
        return self._last

    def start(self) -> None:
        """Audit at the interval of the settings, until `close`."""
        self._thread = threading.Thread(target=self._follow, name="audit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; an audit under way is waited for."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        log = get_logger(__name__)
        while not self._stopping.wait(self._settings.feast.audit_interval_s):
            try:
                outcome = self.audit()
            # The lake may be in the middle of maintenance, Redis away: the next audit will tell.
            except (RagstoneError, redis.RedisError, OSError) as failed:
                log.warning("audit_failed", why=f"{type(failed).__name__}: {failed}")
                continue
            if not outcome.agrees:
                log.error("audit_found_mismatches", checked=outcome.checked, **outcome.mismatches)
