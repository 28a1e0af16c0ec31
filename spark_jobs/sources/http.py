"""The http connector: records of a JSON API, page after page."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import httpx2
import stamina

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Envelope
from ragstone.lake.documents import is_alive
from ragstone.runtime.errors import BadInputError, ConfigError, DependencyUnavailableError
from ragstone.runtime.settings import IngestSettings, read_secret
from ragstone.runtime.source_settings import HttpSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.http_conditions import conditions, seconds_to_wait
from spark_jobs.sources.records import column_text, column_value, record_item, required_text

_TRY_AGAIN: Final = (429, 500, 502, 503, 504)
# Of one item these say something; for a page they are as bad as any other refusal.
_ABOUT_ONE_ITEM: Final = (304, 404, 410)
_MAX_REDIRECTS: Final = 5
_LONGEST_WAIT_S: Final = 120.0
_COLUMN: Final = re.compile(r"\{([^{}]+)\}")


class _TryAgainError(Exception):
    """An answer that may be another one later."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(f"status {answer.status_code}")
        self.retry_after = answer.headers.get("Retry-After")


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
        self._next_request_at = 0.0

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield an item for each record, in the order of the pages.

        Raises ConfigError when the API refuses or answers in another form than configured, DependencyUnavailableError
        when it does not answer or breaks off.
        """
        seen: set[str] = set()
        try:
            for item in self._every_item(known):
                # A record that moved to a later page while pages were read comes twice.
                if item.source_uri not in seen:
                    seen.add(item.source_uri)
                    yield item
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as wrong:
            raise self._misconfigured(wrong, "an address") from wrong

    def fetch(self, item: SourceItem) -> bytes:
        """Never called: a record brings its content."""
        raise BadInputError("a record came without content", got=item.source_uri, wanted="a text")

    def _every_item(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        with self._client as client:
            for records in self._pages(client):
                for record in records:
                    yield self._listed(client, record, known) if self._source.item_url else self._item(record)

    @cached_property
    def _client(self) -> httpx2.Client:
        headers = dict(self._source.headers)
        if self._source.token:
            headers["Authorization"] = f"Bearer {read_secret(self._source.token).get_secret_value()}"
        return httpx2.Client(headers=headers, timeout=self._source.timeout_s)

    @cached_property
    def _read_as(self) -> str:
        """Return a name of the settings that decide what a record becomes."""
        return stable_hash(self._source.records.model_dump_json())[:12]

    def _pages(self, client: httpx2.Client) -> Iterator[list[Any]]:
        """Yield the records of each page. Raises ConfigError for pages that lead in a circle or do not end."""
        asked: set[str] = set()
        before: list[Any] = []
        request: httpx2.Request | None = self._first_request(client)
        while request is not None:
            if str(request.url) in asked or len(asked) >= self._source.max_pages:
                raise self._misconfigured(
                    f"{request.url} again" if str(request.url) in asked else f"more than {len(asked)} pages",
                    "pages that end (max_pages)",
                )
            asked.add(str(request.url))
            answer = self._answer(client, request)
            if not answer.is_success:
                raise self._misconfigured(f"status {answer.status_code} for {answer.url}", "an answer with records")
            records = self._records(answer)
            if records and records == before:
                raise self._misconfigured(
                    f"the same records at {answer.url} as on the page before", "pages that differ"
                )
            before = records
            yield records
            request = self._following(client, request, answer, records)

    def _first_request(self, client: httpx2.Client) -> httpx2.Request:
        params = dict(self._source.params)
        if self._source.paging == "page":
            params[self._source.page_param] = str(self._source.first_page)
        return client.build_request("GET", httpx2.URL(self._source.url).copy_merge_params(params))

    def _following(
        self, client: httpx2.Client, request: httpx2.Request, answer: httpx2.Response, records: list[Any]
    ) -> httpx2.Request | None:
        """Return the request for the next page, or None after the last."""
        url = None
        if self._source.paging == "page" and records:
            page = int(request.url.params[self._source.page_param]) + 1
            url = request.url.copy_set_param(self._source.page_param, str(page))
        elif self._source.paging == "cursor":
            cursor = column_value(answer.json(), self._source.cursor_field)
            url = request.url.copy_set_param(self._source.cursor_param, str(cursor)) if cursor else None
        elif self._source.paging == "link":
            told = answer.links.get("next", {}).get("url")
            url = answer.url.join(told) if told else None
            if url is not None:
                self._check_host(request.url, url)
        return None if url is None else client.build_request("GET", url)

    def _answer(self, client: httpx2.Client, request: httpx2.Request) -> httpx2.Response:
        """Return a good answer or a 304, asked for again with back-off where that may help."""
        try:
            for attempt in stamina.retry_context(
                on=_back_off, attempts=self._source.attempts, timeout=None, wait_max=_LONGEST_WAIT_S
            ):
                with attempt:
                    return self._one_answer(client, request)
        except httpx2.UnsupportedProtocol:
            raise
        except (_TryAgainError, httpx2.RequestError) as broken:
            raise self._unreachable(broken) from broken
        raise AssertionError("an attempt returns or raises")

    def _one_answer(self, client: httpx2.Client, request: httpx2.Request) -> httpx2.Response:
        wait = self._next_request_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        self._next_request_at = time.monotonic() + 1 / self._source.requests_per_second
        answer = self._followed(client, client.send(request))
        if answer.status_code in _TRY_AGAIN:
            raise _TryAgainError(answer)
        if not answer.is_success and answer.status_code not in _ABOUT_ONE_ITEM:
            raise self._misconfigured(f"status {answer.status_code} for {answer.url}", "an answer with records")
        return answer

    def _followed(self, client: httpx2.Client, answer: httpx2.Response) -> httpx2.Response:
        """Return what redirects on the same host lead to."""
        for _ in range(_MAX_REDIRECTS):
            if answer.next_request is None:
                return answer
            self._check_host(answer.request.url, answer.next_request.url)
            answer = client.send(answer.next_request)
        raise self._misconfigured(f"more than {_MAX_REDIRECTS} redirects, the last to {answer.url}", "an answer")

    def _check_host(self, asked: httpx2.URL, told: httpx2.URL) -> None:
        """Raise ConfigError for an address that an answer leads to and that the token was not given for."""
        is_same = (told.scheme, told.host, told.port) == (asked.scheme, asked.host, asked.port)
        is_made_safe = (asked.scheme, asked.port, told.scheme, told.port) == ("http", None, "https", None)
        if not (is_same or (is_made_safe and told.host == asked.host)):
            raise self._misconfigured(f"{asked} leads to {told}", "answers of one host, which gets the token")

    def _records(self, answer: httpx2.Response) -> list[Any]:
        found = self._json(answer)
        records = column_value(found, self._source.items) if self._source.items else found
        if not isinstance(records, list):
            where = self._source.items or "the answer itself"
            raise self._misconfigured(f"{type(records).__name__} at {where}", "a list of records")
        return records

    def _listed(self, client: httpx2.Client, record: Any, known: Mapping[str, Envelope]) -> SourceItem:
        """Return the item that a record of the list names, read from its own address; unread where that says 304."""
        try:
            uri = required_text(record if isinstance(record, Mapping) else {}, self._source.records.id)
        except BadInputError:
            return self._item(record)
        before = known.get(uri)
        landed = self._landed_validator(before)
        answer = self._answer(client, client.build_request("GET", self._item_url(record), headers=conditions(landed)))
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
        item = self._item(self._json(answer))
        return replace(item, source_uri=uri, version=f"{self._read_as} {_validator(answer)}")

    def _landed_validator(self, before: Envelope | None) -> str | None:
        """Return the validator of the landed version; None where the record would become something else today."""
        if before is None or not is_alive(before):
            return None
        read_as, _, validator = (before.source_version or "").partition(" ")
        return validator if read_as == self._read_as else None

    def _json(self, answer: httpx2.Response) -> Any:
        try:
            return answer.json()
        except (ValueError, RecursionError) as broken:
            raise self._misconfigured(f"{answer.headers.get('Content-Type')}: {broken}", "JSON") from broken

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

    def _misconfigured(self, got: object, wanted: str) -> ConfigError:
        return ConfigError(
            f"the source {self.name} cannot be read as it is configured",
            where=self._source.url,
            got=got,
            wanted=wanted,
            next_step=f"correct sources.{self.name}; nothing was changed",
        )

    def _unreachable(self, last: Exception) -> DependencyUnavailableError:
        return DependencyUnavailableError(
            f"the API of source {self.name} does not answer",
            where=self._source.url,
            got=last,
            wanted=f"every page, each within {self._source.attempts} attempts",
            next_step="see that it may be reached from here, then run again; nothing was changed",
        )


def _back_off(error: Exception) -> bool | float:
    """Return whether to try again, or after how many seconds where the answer says so."""
    if isinstance(error, _TryAgainError):
        return min(seconds_to_wait(error.retry_after), _LONGEST_WAIT_S) if error.retry_after else True
    # Half an answer that was packed cannot be unpacked.
    may_pass = isinstance(error, httpx2.TransportError | httpx2.DecodingError)
    return may_pass and not isinstance(error, httpx2.UnsupportedProtocol)


def _validator(answer: httpx2.Response) -> str:
    """Return the version of an answer: its ETag, else its date, else a hash of it."""
    if etag := answer.headers.get("ETag"):
        return f"etag {etag}"
    if modified := answer.headers.get("Last-Modified"):
        return f"modified {modified}"
    return stable_hash("record", answer.text)
