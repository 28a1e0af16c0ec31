"""Which connector reads which kind of source."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Final

from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import IngestSettings, ParsingSettings
from ragstone.runtime.source_settings import (
    CrawlSource,
    FilesSource,
    HttpSource,
    KafkaSource,
    PushSource,
    S3Source,
    Source,
    SqlSource,
)
from spark_jobs.sources.connector import Connector

# Named, and imported when one is wanted: the clients of the others take as long to import as a small source to read.
_CONNECTORS: Final[Mapping[type, str]] = {
    FilesSource: "spark_jobs.sources.files:FilesConnector",
    S3Source: "spark_jobs.sources.s3:S3Connector",
    HttpSource: "spark_jobs.sources.http:HttpConnector",
    SqlSource: "spark_jobs.sources.sql:SqlConnector",
    CrawlSource: "spark_jobs.sources.crawl.connector:CrawlConnector",
}


def connect(
    name: str, source: Source, ingest: IngestSettings, parsing: ParsingSettings, landing: LandingZone
) -> Connector:
    """Return the connector of a source; nothing is read yet."""
    module, _, connector = _CONNECTORS[type(source)].partition(":")
    make: Callable[..., Connector] = getattr(importlib.import_module(module), connector)
    if isinstance(source, CrawlSource):
        # Of a page that has not changed, its links are read from its landed copy.
        return make(name, source, ingest, landing)
    return make(name, source, ingest, parsing) if isinstance(source, FilesSource) else make(name, source, ingest)


def is_scanned(source: Source) -> bool:
    """Return whether a source is looked through by ingest; documents of the others arrive by themselves."""
    return not isinstance(source, KafkaSource | PushSource)
