"""The http connector: records of a JSON API, page after page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import httpx2

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Envelope
from ragstone.lake.documents import is_alive
from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import IngestSettings
from ragstone.runtime.source_settings import HttpSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.http_client import AnswerTooLargeError, ApiClient
from spark_jobs.sources.http_conditions import conditions
from spark_jobs.sources.http_paging import ApiPages
from spark_jobs.sources.records import column_text, record_item, required_text

_COLUMN: Final = re.compile(r"\{([^{}]+)\}")


class HttpConnector:
    """Reads one API. Its pages are its listing, read whole at each look: records in none of them are gone."""

    parallel = 1

    lists_all = True

    def __init__(self, name: str, source: HttpSource, ingest: IngestSettings) -> None:
        self.name = name
        self.acl = source.acl
        self.metadata = source.metadata
        self._source = source
        self._max_item_bytes = ingest.max_item_bytes

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield an item for each record, in the order of the pages.

        Raises ConfigError when the API refuses or answers in another form than configured, DependencyUnavailableError
        when it does not answer or breaks off.
        """
        seen: set[str] = set()
        for item in self._every_item(known):
            # A record that moved to a later page while pages were read comes twice.
            if item.source_uri not in seen:
                seen.add(item.source_uri)
                yield item

    def fetch(self, item: SourceItem) -> bytes:
        """Never called: a record brings its content."""
        raise BadInputError("a record came without content", got=item.source_uri, wanted="a text")

    def _every_item(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        with ApiClient(self.name, self._source) as client:
            try:
                for records in ApiPages(self.name, self._source, client):
                    for record in records:
                        yield self._listed(client, record, known) if self._source.item_url else self._item(record)
            except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as wrong:
                raise client.misconfigured(wrong, "an address") from wrong

    @cached_property
    def _read_as(self) -> str:
        """Return a name of the settings that decide what a record becomes."""
        return stable_hash(self._source.records.model_dump_json())[:12]

    def _listed(self, client: ApiClient, record: Any, known: Mapping[str, Envelope]) -> SourceItem:
        """Return the item that a record of the list names, read from its own address; unread where that says 304."""
        try:
            uri = required_text(record if isinstance(record, Mapping) else {}, self._source.records.id)
        except BadInputError:
            return self._item(record)
        before = known.get(uri)
        landed = self._landed_validator(before)
        url = self._item_url(record)
        try:
            request = client.request(url, conditions(landed))
            answer = client.answer(request, self._max_item_bytes, "ingest.max_item_bytes")
        except AnswerTooLargeError as large:
            return SourceItem(uri, url, refusal=large)
        if answer.status_code == httpx2.codes.NOT_MODIFIED and before is not None and landed:
            return SourceItem(
                uri,
                str(answer.url),
                modified_at=before.source_modified_at,
                version=before.source_version,
                metadata=self._kept_metadata(before),
            )
        if not answer.is_success:
            gone = BadInputError("the record cannot be read", got=f"status {answer.status_code}", wanted="the record")
            return SourceItem(uri, str(answer.url), refusal=gone)
        item = self._item(client.json(answer))
        return replace(item, source_uri=uri, version=f"{self._read_as} {_validator(answer)}")

    def _landed_validator(self, before: Envelope | None) -> str | None:
        """Return the validator of the landed version; None where the record would become something else today."""
        if before is None or not is_alive(before):
            return None
        read_as, _, validator = (before.source_version or "").partition(" ")
        return validator if read_as == self._read_as else None

    def _item_url(self, record: Mapping[str, Any]) -> str:
        template = str(self._source.item_url)
        return _COLUMN.sub(lambda found: quote(column_text(record, found.group(1)) or "", safe=""), template)

    def _kept_metadata(self, before: Envelope) -> dict[str, str]:
        """Return the metadata that came from the record itself, which a 304 does not repeat."""
        landed = before.source_metadata or {}
        return {name: value for name, value in landed.items() if name in self._source.records.metadata}

    def _item(self, record: Any) -> SourceItem:
        try:
            if not isinstance(record, Mapping):
                raise BadInputError("a record is no object", got=type(record).__name__, wanted="an object")
            item = record_item(record, self._source.records, self._source.url)
        except BadInputError as bad:
            # Without an id the record is named by what it holds, so that the same one is one entry in quarantine.
            return SourceItem(f"record {stable_hash('record', repr(record))}", self._source.url, refusal=bad)
        if item.content is not None and len(item.content) > self._max_item_bytes:
            got = f"{len(item.content)} bytes"
            wanted = f"at most {self._max_item_bytes} (ingest.max_item_bytes)"
            too_large = BadInputError("the record is too large", got=got, wanted=wanted)
            return SourceItem(item.source_uri, self._source.url, refusal=too_large)
        return item


def _validator(answer: httpx2.Response) -> str:
    """Return the version of an answer: its ETag, else its date, else a hash of it."""
    if etag := answer.headers.get("ETag"):
        return f"etag {etag}"
    if modified := answer.headers.get("Last-Modified"):
        return f"modified {modified}"
    return stable_hash("record", answer.text)
