"""Documents that their owners send: landed as they come, taken over by bronze at the next ingest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Literal

from ragstone.contracts.identity import content_hash, document_id
from ragstone.contracts.landed_record import landed_record, record_mime_type
from ragstone.contracts.records import Envelope, new_run_id
from ragstone.lake.documents import is_alive, states_of
from ragstone.lake.landing import LandingZone, object_uri
from ragstone.runtime.errors import BadInputError, ConflictError, NotFoundError, TooLargeError
from ragstone.runtime.settings import Settings
from ragstone.runtime.source_settings import PushSource

_SHOWN_IDS: Final = 5
Change = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True)
class PushedDocument:
    """One document as it is sent. `id` names it within its source for good; `text_type` says how `text` is written."""

    id: str
    text: str
    title: str | None = None
    text_type: str = "text/plain"
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Push:
    """What one push did: by document_id, in the order sent, and the batch that holds it, None without any change."""

    changes: Mapping[str, Change]
    landing_batch: int | None


def push_source(settings: Settings, name: str) -> PushSource:
    """Return the settings of a push source. Raises NotFoundError."""
    source = settings.sources.get(name)
    if not isinstance(source, PushSource):
        raise NotFoundError(
            "there is no source of this name that documents can be pushed to",
            where="sources",
            got=name,
            wanted="a source of the kind push",
            next_step="choose another source, or configure this one with kind: push",
        )
    return source


def push_documents(settings: Settings, source: str, documents: Sequence[PushedDocument]) -> Push:
    """Land what is new or changed among these documents in one batch, durably; all of them or none.

    Raises NotFoundError for an unknown source, BadInputError for an id that comes twice or text that is no Unicode,
    TooLargeError, and ConflictError when one of them was deleted and not restored.
    """
    told = push_source(settings, source)
    _check_ids(source, documents)
    contents = [_content(settings, source, document) for document in documents]
    sent = [_envelope(source, told, *pair) for pair in zip(documents, contents, strict=True)]
    landing = LandingZone(settings.landing_root)
    while True:
        # The number comes before the comparison: whoever lands something meanwhile takes that number away from us.
        number = landing.last_batch() + 1
        known = states_of(settings, [envelope.document_id for envelope in sent])
        _check_none_deleted(source, sent, known)
        envelopes = [_changed(envelope, known.get(envelope.document_id)) for envelope in sent]
        changes = {
            one.document_id: _name_of(now, known.get(one.document_id)) for one, now in zip(sent, envelopes, strict=True)
        }
        landed = [envelope for envelope in envelopes if envelope is not None]
        if not landed:
            return Push(changes, None)
        for envelope, content in zip(envelopes, contents, strict=True):
            if envelope is not None:
                landing.put_object(content)
        if landing.try_append(landed, new_run_id(datetime.now(UTC)), number) is not None:
            return Push(changes, number)


def _check_ids(source: str, documents: Sequence[PushedDocument]) -> None:
    twice = [name for name, times in Counter(document.id for document in documents).items() if times > 1]
    if twice:
        raise BadInputError(
            "a document is sent twice in one push",
            where=f"source {source}",
            got=", ".join(twice[:_SHOWN_IDS]),
            wanted="each id once",
        )


def _content(settings: Settings, source: str, document: PushedDocument) -> bytes:
    try:
        content = landed_record(document.title, document.text)
        for text in (document.id, *document.metadata, *document.metadata.values()):
            text.encode("utf-8")
    except UnicodeEncodeError as broken:
        raise BadInputError(
            "a document is not Unicode text",
            where=f"source {source}, id {document.id!a}",
            got=f"half of a surrogate pair at character {broken.start}",
            wanted="whole characters",
        ) from broken
    most = settings.ingest.max_item_bytes
    if len(content) > most:
        raise TooLargeError(
            "a document is too large",
            where=f"source {source}, id {document.id}",
            got=f"{len(content):,} bytes",
            wanted=f"at most {most:,} bytes (ingest.max_item_bytes)",
        )
    return content


def _envelope(source: str, told: PushSource, document: PushedDocument, content: bytes) -> Envelope:
    digest = content_hash(content)
    return Envelope(
        document_id=document_id(source, document.id),
        source=source,
        source_uri=document.id,
        change="fetched",
        fetched_at=datetime.now(UTC),
        content_hash=digest,
        size_bytes=len(content),
        mime_type=record_mime_type(document.text_type),
        landing_uri=object_uri(digest),
        acl=told.acl,
        source_metadata={**told.metadata, **document.metadata},
    )


def _check_none_deleted(source: str, sent: Sequence[Envelope], known: Mapping[str, Envelope]) -> None:
    # By what was sent: of a purged document the address is not known any more.
    named = {envelope.document_id: envelope.source_uri for envelope in sent}
    deleted = [named[name] for name, envelope in known.items() if envelope.change == "deleted"]
    if deleted:
        raise ConflictError(
            "a deleted document cannot be written; nothing of this push was landed",
            where=f"source {source}",
            got=", ".join(deleted[:_SHOWN_IDS]),
            wanted="documents that live or are new",
            next_step="ragstone documents restore ID, then push it again; what was purged cannot come back",
        )


def _changed(envelope: Envelope, before: Envelope | None) -> Envelope | None:
    """Return what is to be landed of a document, or None when it is as before."""
    if before is None or not is_alive(before):
        return envelope
    if (before.content_hash, before.mime_type) != (envelope.content_hash, envelope.mime_type):
        return envelope
    if before.acl != envelope.acl:
        return replace(envelope, change="access")
    return None if before.source_metadata == envelope.source_metadata else replace(envelope, change="metadata")


def _name_of(landed: Envelope | None, before: Envelope | None) -> Change:
    if landed is None:
        return "unchanged"
    return "changed" if is_alive(before) else "new"
