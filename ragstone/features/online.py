"""Reading features online: everything the gate needs about its hits, in one pipelined round trip.

Feast's own client waits eight seconds on a hung Redis and costs four times as much per read; this one uses Feast's keys
and value messages over a client of ours, and a contract test holds it equal to `get_online_features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Protocol

import redis
from feast.type_map import NULL_TIMESTAMP_INT_VALUE

from ragstone.features.marker import Marker, read_marker
from ragstone.features.redis_layout import decode, decode_time, entity_key, feature_field, queue, time_field
from ragstone.features.views import ACCESS, CHUNK_METADATA, STATS, View
from ragstone.runtime.errors import RetrievalUnavailableError
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings


@dataclass(frozen=True)
class ChunkFeatures:
    """A chunk as it is served now. On a tombstone `active` is False and everything between the ids and it is None."""

    chunk_id: str
    document_id: str | None
    ordinal: int | None
    char_start: int | None
    char_end: int | None
    heading_path: str | None
    text: str | None
    token_count: int | None
    text_hash: str | None
    active: bool
    event_timestamp: datetime


@dataclass(frozen=True)
class DocumentFeatures:
    """A document as it is served now: who may read it, whether it lives, where it comes from.

    `acl` is empty when nobody may. Title, source, address, language and date are None until its statistics arrive.
    """

    document_id: str
    acl: tuple[str, ...]
    active: bool
    title: str | None
    source: str | None
    source_uri: str | None
    language: str | None
    source_modified_at: datetime | None
    event_timestamp: datetime


# Every read asks Redis; only what bytes mean is remembered, for decoding them is half of a read's work. Rows come again
# with popular documents, and most values are short and shared by many rows: groups, flags, numbers, times.
_REMEMBERED_ROWS: Final = 4_096
_SHORT_BYTES: Final = 48
_decode_short = lru_cache(maxsize=65_536)(decode)
_decode_moment = lru_cache(maxsize=4_096)(decode_time)


def _decode(stored: bytes | None) -> Any:
    return decode(stored) if stored is not None and len(stored) > _SHORT_BYTES else _decode_short(stored)


def _fields(view: View, features: Sequence[str]) -> tuple[bytes, ...]:
    return (time_field(view.name), *(feature_field(view.name, name) for name in features))


_CHUNK_FEATURES: Final = (
    "chunk_document_id",
    "ordinal",
    "char_start",
    "char_end",
    "heading_path",
    "text",
    "token_count",
    "chunk_text_hash",
    "chunk_active",
)
_ACCESS_FEATURES: Final = ("acl", "document_active")
_STATS_FEATURES: Final = ("title", "source", "source_uri", "document_language", "source_modified_at")
_CHUNK_FIELDS: Final = _fields(CHUNK_METADATA, _CHUNK_FEATURES)
_ACCESS_FIELDS: Final = _fields(ACCESS, _ACCESS_FEATURES)
_DOCUMENT_FIELDS: Final = (*_ACCESS_FIELDS, *_fields(STATS, _STATS_FEATURES))


class FeatureReader(Protocol):
    """Where the gate reads what it judges by: the online store, or the lake for a past day."""

    def read(
        self, chunk_ids: Sequence[str], document_ids: Sequence[str]
    ) -> tuple[list[ChunkFeatures | None], list[DocumentFeatures | None]]:
        """Return the features of chunks and of documents, in the order asked; None for what is not there."""
        ...


class OnlineReader:
    """Reads chunks and documents from the online store. Safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self._project = settings.feast.project
        self._client: redis.Redis = online_client(settings)

    def read(
        self, chunk_ids: Sequence[str], document_ids: Sequence[str]
    ) -> tuple[list[ChunkFeatures | None], list[DocumentFeatures | None]]:
        """Return the features of chunks and of documents, in the order asked; None for what is not there.

        Raises RetrievalUnavailableError when Redis does not answer in time.
        """
        chunks, documents = list(dict.fromkeys(chunk_ids)), list(dict.fromkeys(document_ids))
        if not chunks and not documents:
            return [], []
        rows = self._rows(chunks, documents)
        by_chunk = dict(zip(chunks, map(_chunk, chunks, rows), strict=False))
        by_document = dict(zip(documents, map(_document, documents, rows[len(chunks) :]), strict=False))
        return [by_chunk[name] for name in chunk_ids], [by_document[name] for name in document_ids]

    def marker(self) -> Marker:
        """Return what was last materialized, and when; an empty marker when nothing was.

        Raises RetrievalUnavailableError when Redis does not answer in time.
        """
        try:
            return read_marker(self._client, self._project)
        except redis.RedisError as failed:
            raise _unavailable(failed) from failed

    def close(self) -> None:
        """Close the connections to Redis."""
        self._client.close()

    def _rows(self, chunks: Sequence[str], documents: Sequence[str]) -> list[tuple[bytes | None, ...]]:
        with self._client.pipeline(transaction=False) as pipeline:
            for name in chunks:
                queue(pipeline, "HMGET", entity_key(self._project, CHUNK_METADATA.join_key, name), *_CHUNK_FIELDS)
            for name in documents:
                queue(pipeline, "HMGET", entity_key(self._project, ACCESS.join_key, name), *_DOCUMENT_FIELDS)
            try:
                return [tuple(row) for row in pipeline.execute()]
            except redis.RedisError as failed:
                raise _unavailable(failed) from failed


@lru_cache(maxsize=_REMEMBERED_ROWS)
def _chunk(chunk_id: str, row: tuple[bytes | None, ...]) -> ChunkFeatures | None:
    time, *stored = row
    if time is None:
        return None
    values = map(_decode, stored)
    document_id, ordinal, char_start, char_end, heading_path, text, token_count, text_hash, active = values
    return ChunkFeatures(
        chunk_id=chunk_id,
        document_id=document_id,
        ordinal=ordinal,
        char_start=char_start,
        char_end=char_end,
        heading_path=heading_path,
        text=text,
        token_count=token_count,
        text_hash=text_hash,
        active=active is True,
        event_timestamp=_decode_moment(time),
    )


@lru_cache(maxsize=_REMEMBERED_ROWS)
def _document(document_id: str, row: tuple[bytes | None, ...]) -> DocumentFeatures | None:
    # Only access counts: statistics that outlived a swept access row must not make a document look alive.
    time, acl, active = row[: len(_ACCESS_FIELDS)]
    if time is None:
        return None
    title, source, source_uri, language, modified = map(_decode, row[len(_ACCESS_FIELDS) + 1 :])
    return DocumentFeatures(
        document_id=document_id,
        acl=tuple(_decode(acl) or ()),
        active=_decode(active) is True,
        title=title,
        source=source,
        source_uri=source_uri,
        language=language,
        source_modified_at=_moment(modified),
        event_timestamp=_decode_moment(time),
    )


def forget_decoded() -> None:
    """Let go of every decoded row and value that is remembered, such as when a document was purged."""
    for remembered in (_decode_short, _decode_moment, _chunk, _document):
        remembered.cache_clear()


def _moment(seconds: Any) -> datetime | None:
    # Feast stores a null time as a number, unlike every other null.
    return None if seconds in (None, NULL_TIMESTAMP_INT_VALUE) else datetime.fromtimestamp(seconds, UTC)


def _unavailable(failed: redis.RedisError) -> RetrievalUnavailableError:
    return RetrievalUnavailableError(
        "the online store does not answer, so no hit can be checked",
        where="redis",
        got=f"{type(failed).__name__}: {failed}",
        wanted="an answer within redis.deadline_ms",
        next_step="ragstone doctor",
    )
