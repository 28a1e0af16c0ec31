"""What a server answered: where it points to, what kind of page it is, how to ask for it again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx2

from spark_jobs.sources.crawl.urls import normalise_url
from spark_jobs.sources.http_conditions import http_date
from spark_jobs.sources.mime import HTML, MARKDOWN, PDF, PLAIN, RESTRUCTURED, mime_type

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_HTML_TYPES: Final = ("text/html", "application/xhtml+xml")
_TEXT_TYPES: Final = ("text/plain", "text/markdown", "text/x-markdown", "text/x-rst", "text/prs.fallenstein.rst")
# Of files the type is often not told, or told as one that says nothing.
_UNSURE_TYPES: Final = ("", "application/octet-stream")
_TEXT_KINDS: Final = (PLAIN, MARKDOWN, RESTRUCTURED)
# RFC 9110, 8.8.2.2: a date nearer to that of the answer may stand for several versions, or for none.
_SURE_AFTER: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Answer:
    """An answer of a server to one request.

    `content` is None where it was not wanted: no success, or of a type that is not taken.
    """

    url: str
    status: int
    headers: httpx2.Headers
    content: bytes | None = None

    @property
    def redirect(self) -> str | None:
        """Return the normalised URL a redirect points to; None for other answers and for what cannot be asked."""
        told = self.headers.get("Location") if self.status in _REDIRECTS else None
        return normalise_url(told, self.url) if told else None

    @property
    def is_redirect(self) -> bool:
        """Return whether this answer only says to ask elsewhere."""
        return self.status in _REDIRECTS

    @property
    def is_success(self) -> bool:
        """Return whether this is what was asked for."""
        return self.status == httpx2.codes.OK

    @property
    def media_type(self) -> str:
        """Return what the server says the content is, without parameters; empty when it does not say."""
        told: str = self.headers.get("Content-Type", "")
        return told.partition(";")[0].strip().lower()

    @property
    def may_be_page(self) -> bool:
        """Return whether the headers leave open that this is something to take."""
        return self.media_type in (*_HTML_TYPES, *_TEXT_TYPES, *_UNSURE_TYPES, PDF)

    @property
    def kind(self) -> str | None:
        """Return the MIME type of a page, PDF or text; None for everything else. Bytes count before what is told."""
        if self.content is None:
            return None
        kind = mime_type(httpx2.URL(self.url).path, self.content)
        if kind in (PDF, HTML):
            return kind
        if self.media_type in _HTML_TYPES:
            return HTML
        return kind if kind in _TEXT_KINDS and self.media_type in (*_TEXT_TYPES, "") else None

    @property
    def version(self) -> str | None:
        """Return how to ask whether a page is still the same, or None where its server gives no sure sign."""
        if etag := self.headers.get("ETag"):
            return f"etag {etag}"
        told = self.headers.get("Last-Modified", "")
        modified, now = http_date(told), http_date(self.headers.get("Date", ""))
        return f"modified {told}" if modified and now and now - modified >= _SURE_AFTER else None
