"""A reader's view of the published index: follows `CURRENT`, and keeps the last good snapshot when a new one is not.

Only when `CURRENT` itself is gone is there nothing to search any more: a purge takes it away with the last document.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ragstone.runtime.errors import IndexIncompatibleError, RagstoneError, RetrievalUnavailableError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.metrics import INDEX_AGE_SECONDS, INDEX_INFO, INDEX_LEFT_ASIDE, INDEX_REFUSED
from ragstone.runtime.settings import Settings
from serving.index.files import CURRENT_FILE
from serving.index.snapshot import IndexSnapshot, open_current

POLL_S: Final = 0.5

_Signature = tuple[int, int, int]


class IndexFollower:
    """Holds the snapshot to search now, for encoders of one hash. Opening it loads the published snapshot.

    Raises NotFoundError when nothing was published, IndexIncompatibleError when the published snapshot is broken or
    belongs to another encoder: there is no last good one yet. Loading happens in the calling thread, or in one of its
    own between `start` and `close`; searching is never held up. `on_change` is called after each snapshot that is taken
    up, also when `CURRENT` was only written again: a purge does that, so that what is remembered of passages goes. It
    is called too when the index was withdrawn.
    """

    def __init__(self, settings: Settings, encoder_hash: str, on_change: Callable[[], None] | None = None) -> None:
        self._settings = settings
        self._on_change = on_change
        self._encoder_hash = encoder_hash
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._left_aside: str | None = None
        self._seen = _signature(settings.index_root)
        self._snapshot: IndexSnapshot | None = self._load()
        self._announce(None, self._snapshot)

    def current(self) -> IndexSnapshot:
        """Return the snapshot to search now; it stays usable after a newer one has taken its place.

        Raises RetrievalUnavailableError when the index was withdrawn and none has been published since.
        """
        snapshot = self._snapshot
        if snapshot is None:
            raise RetrievalUnavailableError(
                "nothing is indexed, so no question can be answered",
                where=str(self._settings.index_root),
                got="an index that was withdrawn when its last document was purged",
                wanted="a published index",
                next_step="add a document, then ragstone run",
            )
        return snapshot

    def refresh(self) -> bool:
        """Take up what is published now, and return whether that was a change.

        What cannot be taken up is left aside with an alarm: in the log, in two metrics, and in `left_aside`.
        """
        _set_age(self._snapshot)
        signature = _signature(self._settings.index_root)
        if signature == self._seen:
            return False
        self._seen = signature
        before = self._snapshot
        try:
            fresh = None if signature is None else self._load()
        except Exception as bad:  # noqa: BLE001  (whatever it is, the thread must go on following)
            self._leave_aside(bad)
            return False
        self._snapshot, self._left_aside = fresh, None
        INDEX_LEFT_ASIDE.set(0)
        if self._on_change is not None:
            self._on_change()
        self._announce(before, fresh)
        return True

    def left_aside(self) -> str | None:
        """Return why the published index is not the one that is searched, or None when it is."""
        return self._left_aside

    def start(self) -> None:
        """Refresh from a thread of its own, twice a second, until `close`."""
        self._thread = threading.Thread(target=self._follow, name="index-follower", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop following. The snapshot stays usable."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    def _follow(self) -> None:
        while not self._stopping.wait(POLL_S):
            self.refresh()

    def _load(self) -> IndexSnapshot:
        snapshot = open_current(self._settings)
        if snapshot.manifest.encoder_hash != self._encoder_hash:
            raise IndexIncompatibleError(
                "the published index belongs to another encoder than the one questions go through",
                where=f"index {snapshot.manifest.version}",
                got=f"encoder {snapshot.manifest.encoder_hash} ({snapshot.manifest.model_id})",
                wanted=f"encoder {self._encoder_hash}",
                next_step="set embedding.model and embedding.space as the index has them, or ragstone run",
            )
        return snapshot

    def _leave_aside(self, bad: Exception) -> None:
        facts = bad.facts() if isinstance(bad, RagstoneError) else {}
        what = bad.what if isinstance(bad, RagstoneError) else f"{type(bad).__name__}: {bad}"
        self._left_aside = "; ".join([what, *(f"{name}: {fact}" for name, fact in facts.items())])
        INDEX_REFUSED.labels("reader").inc()
        INDEX_LEFT_ASIDE.set(1)
        get_logger(__name__).error("index_not_taken_up", serving=_version(self._snapshot), what=what, **facts)

    def _announce(self, before: IndexSnapshot | None, now: IndexSnapshot | None) -> None:
        log = get_logger(__name__)
        if before is not None:
            INDEX_INFO.labels(before.manifest.version).set(0)
        _set_age(now)
        if now is None:
            log.warning("index_withdrawn", before=_version(before))
            return
        INDEX_INFO.labels(now.manifest.version).set(1)
        log.info("index_taken_up", version=now.manifest.version, chunks=now.manifest.count, before=_version(before))


def _version(snapshot: IndexSnapshot | None) -> str | None:
    return None if snapshot is None else snapshot.manifest.version


def _set_age(snapshot: IndexSnapshot | None) -> None:
    # What is not there has no age; zero would look like an index built just now.
    built_at = math.nan if snapshot is None else snapshot.manifest.built_at.timestamp()
    INDEX_AGE_SECONDS.set(time.time() - built_at)


def _signature(index_root: Path) -> _Signature | None:
    """Return what tells one `CURRENT` from the next, or None when there is none: publishing replaces the file."""
    try:
        found = (index_root / CURRENT_FILE).stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
