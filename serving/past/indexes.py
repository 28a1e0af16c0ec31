"""Indexes of past states of the lake, for exact search: written beside the home's files, mapped, and unlinked at once.

Nothing of them outlives the process, so a purge has no file of theirs to find.
"""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from ragstone.contracts.state import AsOf
from ragstone.embedding.load import embedding_spec
from ragstone.lake.vectors import index_tables, table_states
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from serving.index.build import write_snapshot
from serving.index.snapshot import IndexSnapshot, open_snapshot

_NO_RUN: Final = "as-of"


class PastIndexes:
    """Snapshots of the lake within bounds; the last `index.keep_as_of` that were asked for stay open.

    A lake whose rows have changed since, such as by a purge, is read anew. Safe for several threads.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: OrderedDict[Any, IndexSnapshot] = OrderedDict()
        self._one_at_a_time = threading.Lock()

    def snapshot(self, as_of: AsOf) -> IndexSnapshot:
        """Return the corpus within bounds, in the space of the settings.

        Raises IndexGateError when the space holds vectors of another encoder than the settings name.
        """
        with self._one_at_a_time:
            key = (as_of, *self._lake_state())
            if key not in self._open:
                self._open[key] = read_past(self._settings, as_of)
            self._open.move_to_end(key)
            while len(self._open) > self._settings.index.keep_as_of:
                self._open.popitem(last=False)
            return self._open[key]

    def _lake_state(self) -> tuple[object, ...]:
        spec = embedding_spec(self._settings)
        states = table_states(self._settings.lake_root, index_tables(spec.space, spec.dim))
        return tuple((name, state.content_version, state.table_id) for name, state in states.items())


def read_past(settings: Settings, as_of: AsOf) -> IndexSnapshot:
    """Return a snapshot of the lake within bounds, searched exactly whatever its size. Raises IndexGateError."""
    index = settings.index.model_copy(update={"quantised_above": sys.maxsize})
    exact = settings.model_copy(update={"index": index})
    settings.home.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".as-of-", dir=settings.home) as folder:
        manifest = write_snapshot(exact, Path(folder), _name(as_of), _NO_RUN, as_of)
        snapshot = open_snapshot(Path(folder))
    get_logger(__name__).info("past_read", version=manifest.version, chunks=manifest.count)
    return snapshot


def _name(as_of: AsOf) -> str:
    known = f"as-of-{as_of.known_by.isoformat()}" if as_of.known_by else "as-of-all"
    return known if as_of.written_by is None else f"{known}-written-by-{as_of.written_by.isoformat()}"
