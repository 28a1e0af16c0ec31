"""Web sites on loopback under names of their own, and looking at them again and again as ingest does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpcore2
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ragstone.contracts.records import Envelope
from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import IngestSettings
from ragstone.runtime.source_settings import CrawlSource
from spark_jobs.sources.crawl.connector import CrawlConnector
from spark_jobs.sources.scan import SourceScan, scan_source

PUBLIC = "93.184.215.14"
Answering = Callable[[Request], Response]


def html(text: str, *links: str, head: str = "") -> str:
    """Return a page with a text and links."""
    anchors = "".join(f'<a href="{link}">more</a> ' for link in links)
    return f"<!doctype html><html><head><title>T</title>{head}</head><body><p>{text}</p>{anchors}</body></html>"


class Web(httpcore2.NetworkBackend):
    """A web in which every address is served by one server on loopback, told apart by the name that is asked for.

    `pages` has what each URL answers: text for HTML, a response, or a function; other URLs answer 404. `names` has the
    addresses that a name is given, in turn, the last one from then on.
    """

    def __init__(self, server: HTTPServer) -> None:
        self.pages: dict[str, str | Response | Answering] = {}
        self.names: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.headers: dict[str, dict[str, str]] = {}
        self.dialled: list[str] = []
        self.over = threading.Event()
        self.port = server.port
        self._network = httpcore2.SyncBackend()
        server.expect_request(Anything()).respond_with_handler(self._answer)

    def resolve(self, host: str) -> list[str]:
        addresses = self.names.get(host, [PUBLIC])
        return [addresses.pop(0) if len(addresses) > 1 else addresses[0]]

    def connect_tcp(self, host, _port, timeout=None, *_options):
        self.dialled.append(host)
        return self._network.connect_tcp("127.0.0.1", self.port, timeout)

    def pages_asked(self) -> list[str]:
        """Return what was asked for since the last call, without robots.txt and sitemaps."""
        asked = [url for url in self.asked if not url.endswith(("/robots.txt", "/sitemap.xml"))]
        self.asked.clear()
        return asked

    def drip(self, text: bytes) -> Iterator[bytes]:
        """Yield a byte now and then, until the test is over."""
        for at in range(len(text)):
            yield text[at : at + 1]
            if self.over.wait(0.02):
                return

    def _answer(self, request: Request) -> Response:
        url = f"http://{request.host}{request.full_path if request.query_string else request.path}"
        self.asked.append(url)
        self.headers[url] = dict(request.headers)
        page = self.pages.get(url, Response("nothing here", 404))
        if callable(page) and not isinstance(page, Response):
            page = page(request)
        if isinstance(page, str):
            page = Response(page, mimetype="text/html")
        return page


class Anything:
    """A path that is equal to every other."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


@dataclass
class CrawlLooks:
    """A crawled source and what is known of it from the looks before."""

    web: Web
    root: Path
    settings: dict[str, object]
    known: dict[str, Envelope] = field(default_factory=dict)
    max_item_bytes: int = 100_000
    pauses: list[float] = field(default_factory=list)

    @property
    def landing(self) -> LandingZone:
        return LandingZone(self.root / "landing")

    def look(self) -> SourceScan:
        """Look once more, and remember what was found."""
        source = CrawlSource(**{"kind": "crawl", "start": ["http://docs.test/"], "sitemaps": False, **self.settings})
        ingest = IngestSettings(max_item_bytes=self.max_item_bytes)
        connector = CrawlConnector(
            "site", source, ingest, self.landing, resolve=self.web.resolve, dial=self.web, sleep=self.pauses.append
        )
        scan = scan_source(connector, self.known, self.landing)
        self.known |= {envelope.document_id: envelope for envelope in scan.envelopes}
        return scan

    def changes(self) -> dict[str, str]:
        """Look once more and return what changed, by path on docs.test or else by URL."""
        return {short(envelope.source_uri): envelope.change for envelope in self.look().envelopes}

    def refused(self) -> dict[str, str]:
        """Look once more and return why pages were set aside."""
        return {short(rejection.item_key): rejection.reason for rejection in self.look().rejections}


def short(url: str) -> str:
    return url.removeprefix("http://docs.test")
