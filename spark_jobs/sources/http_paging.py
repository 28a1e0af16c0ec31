"""The list of an API, page after page: by number, by cursor or by links."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2

from ragstone.runtime.source_settings import HttpSource
from spark_jobs.sources.http_client import AnswerTooLargeError, ApiClient
from spark_jobs.sources.records import column_value


class ApiPages:
    """The pages of one API."""

    def __init__(self, name: str, source: HttpSource, client: ApiClient) -> None:
        self._setting = f"sources.{name}.max_page_bytes"
        self._source = source
        self._client = client

    def __iter__(self) -> Iterator[list[Any]]:
        """Yield the records of each page.

        Raises ConfigError for pages that lead in a circle, do not end, are too large or hold no list of records.
        """
        asked: set[str] = set()
        before: list[Any] = []
        request: httpx2.Request | None = self._first_request()
        while request is not None:
            if str(request.url) in asked or len(asked) >= self._source.max_pages:
                raise self._client.misconfigured(
                    f"{request.url} again" if str(request.url) in asked else f"more than {len(asked)} pages",
                    "pages that end (max_pages)",
                )
            asked.add(str(request.url))
            answer = self._page(request)
            records = self._records(answer)
            if records and records == before:
                raise self._client.misconfigured(
                    f"the same records at {answer.url} as on the page before", "pages that differ"
                )
            before = records
            yield records
            request = self._following(request, answer, records)

    def _first_request(self) -> httpx2.Request:
        params = dict(self._source.params)
        if self._source.paging == "page":
            params[self._source.page_param] = str(self._source.first_page)
        return self._client.request(httpx2.URL(self._source.url).copy_merge_params(params))

    def _following(self, request: httpx2.Request, answer: httpx2.Response, records: list[Any]) -> httpx2.Request | None:
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
                self._client.check_host(request.url, url)
        return None if url is None else self._client.request(url)

    def _page(self, request: httpx2.Request) -> httpx2.Response:
        try:
            answer = self._client.answer(request, self._source.max_page_bytes, self._setting)
        except AnswerTooLargeError as large:
            raise self._client.misconfigured(f"{large.got} from {large.where}", str(large.wanted)) from large
        if not answer.is_success:
            raise self._client.misconfigured(f"status {answer.status_code} for {answer.url}", "an answer with records")
        return answer

    def _records(self, answer: httpx2.Response) -> list[Any]:
        found = self._client.json(answer)
        records = column_value(found, self._source.items) if self._source.items else found
        if not isinstance(records, list):
            where = self._source.items or "the answer itself"
            raise self._client.misconfigured(f"{type(records).__name__} at {where}", "a list of records")
        return records
