"""One batch of a stream as a source: its messages become items, the last good message of each document.

Which message is last: within a partition the one with the greatest offset, between partitions the one with the latest
time, on a tie the greater partition.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

from ragstone.contracts.identity import content_hash, document_id
from ragstone.contracts.records import Envelope, Rejection
from ragstone.lake.documents import is_alive
from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import IngestSettings
from ragstone.runtime.source_settings import KafkaSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.records import record_item

_FETCHED_AT_ONCE: Final = 8


@dataclass(frozen=True)
class Message:
    """One message as the broker gave it. A message without value says that its document is gone."""

    topic: str
    partition: int
    offset: int
    sent_at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def place(self) -> str:
        """Return where the message stands, such as `notes[0]@12`."""
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass
class MessageBatch:
    """The connector of one batch: `items` are the last good messages, `rejections` bad ones that none followed.

    `superseded` counts the messages that a later one of the same document made void.
    """

    name: str
    acl: tuple[str, ...]
    metadata: dict[str, str]
    rejections: list[Rejection] = field(default_factory=list)
    superseded: int = 0
    lists_all: bool = False
    parallel: int = _FETCHED_AT_ONCE
    _items: list[SourceItem] = field(default_factory=list)

    @property
    def uris(self) -> set[str]:
        """Return the source_uri of every document that a good message was for."""
        return {item.source_uri for item in self._items}

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield an item for each document; one that repeats what is landed keeps the version that brought it."""
        for item in self._items:
            before = known.get(item.source_uri)
            yield (
                item
                if before is None or not self._repeats(item, before)
                else replace(item, version=before.source_version)
            )

    def fetch(self, item: SourceItem) -> bytes:
        """Never called: every message brings its content."""
        raise BadInputError("a message came without content", where=item.locator)

    def _repeats(self, item: SourceItem, before: Envelope) -> bool:
        return (
            item.content is not None
            and is_alive(before)
            and before.content_hash == content_hash(item.content)
            and before.source_metadata == {**self.metadata, **item.metadata}
        )


def read_messages(name: str, source: KafkaSource, ingest: IngestSettings, messages: Iterable[Message]) -> MessageBatch:
    """Return what the messages of one batch say, in whatever order the partitions come; offsets rise within each."""
    batch = MessageBatch(name, source.acl, source.metadata)
    # Per document and partition, because only there offsets tell which message is later.
    good: dict[tuple[str, int], tuple[Message, SourceItem]] = {}
    bad: dict[tuple[str, int], tuple[Message, Rejection]] = {}
    for message in messages:
        batch.superseded += 1
        read = _read(name, source, ingest, message)
        if isinstance(read, SourceItem):
            good[read.source_uri, message.partition] = (message, read)
        else:
            bad[read.item_key, message.partition] = (message, read)
    last = _last_of_each_document(good)
    batch._items = [item for _, item in last.values()]
    batch.rejections = [
        rejection
        for message, rejection in bad.values()
        if rejection.item_key not in last or _is_later(message, last[rejection.item_key][0])
    ]
    batch.superseded -= len(batch._items) + len(batch.rejections)
    return batch


def _read(name: str, source: KafkaSource, ingest: IngestSettings, message: Message) -> SourceItem | Rejection:
    """Return a message's item, or why there is none, under the id of its document where that can be told."""
    item_key = f"{message.partition}:{message.offset}"
    try:
        item_key = _text(message.key, "key") if message.key else item_key
        item = _item(source, ingest, message)
        if item.refusal is None:
            return item
        return _rejection(name, message, item.source_uri, item.refusal)
    except BadInputError as refused:
        return _rejection(name, message, item_key, refused)


def _last_of_each_document(
    good: Mapping[tuple[str, int], tuple[Message, SourceItem]],
) -> dict[str, tuple[Message, SourceItem]]:
    last: dict[str, tuple[Message, SourceItem]] = {}
    for (uri, _), found in good.items():
        if uri not in last or _is_later(found[0], last[uri][0]):
            last[uri] = found
    return last


def _is_later(one: Message, other: Message) -> bool:
    if one.partition == other.partition:
        return one.offset > other.offset
    return (one.sent_at, one.partition) > (other.sent_at, other.partition)


def _item(source: KafkaSource, ingest: IngestSettings, message: Message) -> SourceItem:
    """Return the item a message is. Raises BadInputError when it is none."""
    version = f"{message.partition}:{message.offset}"
    if message.value is None:
        return SourceItem(_key(message), message.place, message.sent_at, version, deleted=True)
    if len(message.value) > ingest.max_item_bytes:
        raise BadInputError(
            "a message is too large",
            got=f"{len(message.value):,} bytes",
            wanted=f"at most {ingest.max_item_bytes:,} bytes (ingest.max_item_bytes)",
        )
    if source.records is None:
        item = SourceItem(_key(message), message.place, message.sent_at, version, content=message.value)
    else:
        item = record_item(_record(message.value), source.records, message.place, version=version)
    headers = {name: value for name, value in message.headers if name in source.headers and value is not None}
    described = {name: _text(value, "header") for name, value in headers.items()}
    return replace(item, metadata={**described, **item.metadata}, modified_at=item.modified_at or message.sent_at)


def _record(value: bytes) -> Mapping[str, Any]:
    try:
        record = json.loads(value)
    except (ValueError, RecursionError) as broken:
        raise BadInputError("a message is not JSON", got=broken, wanted="a JSON object") from broken
    if not isinstance(record, Mapping):
        raise BadInputError("a message is not a JSON object", got=type(record).__name__, wanted="a JSON object")
    return record


def _key(message: Message) -> str:
    if not message.key:
        raise BadInputError("a message has no key", got=message.key, wanted="the id of its document")
    return _text(message.key, "key")


def _text(value: bytes, name: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as broken:
        raise BadInputError(f"a {name} of a message is not UTF-8", got=broken, wanted="UTF-8") from broken


def _rejection(name: str, message: Message, item_key: str, refused: BadInputError) -> Rejection:
    return Rejection(
        step="ingest",
        dataset=name,
        item_key=item_key,
        reason=f"{refused.what}: got {refused.got}, wanted {refused.wanted}",
        document_id=document_id(name, item_key),
        content_hash=None if message.value is None else content_hash(message.value),
        payload_pointer=message.place,
    )
