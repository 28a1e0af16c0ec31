"""Reading features of a past day: what the gate needs about its hits, from the lake instead of the online store.

The online store knows only the present, so it cannot judge the past. What it held then follows from the lake's rows: a
row was online once it was written and materialized, and access rows at once.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import DOCUMENT_ACCESS, DOCUMENT_STATS, SILVER_CHUNKS
from ragstone.features.online import ChunkFeatures, DocumentFeatures
from ragstone.lake.history import History

_CHUNK_COLUMNS: Final = (
    "document_id",
    "ordinal",
    "char_start",
    "char_end",
    "heading_path",
    "text",
    "token_count",
    "text_hash",
)
_STATS_COLUMNS: Final = ("title", "source", "source_uri", "language", "source_modified_at")


class PastFeatures:
    """The history of chunks and documents in the lake as it is now: what was purged since is not there."""

    def __init__(self, root: Path) -> None:
        self.chunks = History(root, SILVER_CHUNKS, _CHUNK_COLUMNS)
        self.access = History(root, DOCUMENT_ACCESS, ("acl",))
        self.stats = History(root, DOCUMENT_STATS, _STATS_COLUMNS)
        self._one_at_a_time = threading.Lock()

    def reader(self, materialized: AsOf, access: AsOf) -> PastReader:
        """Return a reader for the gate: chunks and statistics within one bound, access and life within another."""
        return PastReader(self, materialized, access, self._one_at_a_time)


class PastReader:
    """Reads chunks and documents within bounds, as `OnlineReader` reads those of now. Safe for several threads."""

    def __init__(self, past: PastFeatures, materialized: AsOf, access: AsOf, alone: threading.Lock) -> None:
        self._past = past
        self._materialized = materialized
        self._access = access
        self._alone = alone

    def read(
        self, chunk_ids: Sequence[str], document_ids: Sequence[str]
    ) -> tuple[list[ChunkFeatures | None], list[DocumentFeatures | None]]:
        """Return the features of chunks and of documents, in the order asked; None for what was not there."""
        with self._alone:
            chunks = self._past.chunks.newest(chunk_ids, self._materialized)
            access = self._past.access.newest(document_ids, self._access)
            stats = self._past.stats.newest(document_ids, self._materialized)
        return (
            [_chunk(chunks.get(name)) for name in chunk_ids],
            [_document(access.get(name), stats.get(name, {})) for name in document_ids],
        )


def _chunk(row: Mapping[str, Any] | None) -> ChunkFeatures | None:
    if row is None:
        return None
    features = {name: row[name] for name in ("chunk_id", *_CHUNK_COLUMNS, "active", "event_timestamp")}
    return ChunkFeatures(**features)


def _document(access: Mapping[str, Any] | None, stats: Mapping[str, Any]) -> DocumentFeatures | None:
    if access is None:
        return None
    return DocumentFeatures(
        document_id=access["document_id"],
        acl=tuple(access["acl"] or ()),
        active=access["active"],
        event_timestamp=access["event_timestamp"],
        **{name: stats.get(name) for name in _STATS_COLUMNS},
    )
