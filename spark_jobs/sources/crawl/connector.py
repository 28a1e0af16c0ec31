"""The crawl connector: what `spark_jobs.sources.connector.Connector` asks for, of a web site."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import httpcore2

from ragstone.contracts.records import Envelope
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import BadInputError
from ragstone.runtime.settings import IngestSettings
from ragstone.runtime.source_settings import CrawlSource
from spark_jobs.sources.connector import SourceItem
from spark_jobs.sources.crawl.crawl import Crawl
from spark_jobs.sources.crawl.fetcher import Fetcher
from spark_jobs.sources.crawl.network import PinnedNetwork, Resolve, resolve


class CrawlConnector:
    """Reads the pages of a site. A page that no link, sitemap or start page leads to any more is gone.

    `resolve`, `dial` and `sleep` are how names become addresses, how connections are opened and how a crawl waits.
    """

    parallel = 1

    lists_all = True

    def __init__(
        self,
        name: str,
        source: CrawlSource,
        ingest: IngestSettings,
        landing: LandingZone,
        *,
        resolve: Resolve = resolve,
        dial: httpcore2.NetworkBackend | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = name
        self.acl = source.acl
        self.metadata = source.metadata
        self._source = source
        self._max_item_bytes = ingest.max_item_bytes
        self._landing = landing
        self._resolve = resolve
        self._dial = dial
        self._sleep = sleep

    def items(self, known: Mapping[str, Envelope]) -> Iterator[SourceItem]:
        """Yield an item for each page, nearest to the start pages first.

        Raises ConfigError when a start page is not there, not allowed or no page, and DependencyUnavailableError when
        one cannot be reached.
        """
        network = PinnedNetwork(allow_private=self._source.allow_private, resolve=self._resolve, dial=self._dial)
        fetcher = Fetcher(self._source, self._max_item_bytes, network, sleep=self._sleep)
        try:
            yield from Crawl(self.name, self._source, fetcher, self._landing, known, self._max_item_bytes).items()
        finally:
            fetcher.close()

    def fetch(self, item: SourceItem) -> bytes:
        """Never called: a page brings its content, and of an unchanged one nothing is needed."""
        raise BadInputError("a page came without content", got=item.source_uri, wanted="its bytes")
