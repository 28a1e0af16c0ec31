"""Which connector reads which kind of source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ragstone.runtime.settings import IngestSettings
from ragstone.runtime.source_settings import (
    FilesSource,
    HttpSource,
    KafkaSource,
    PushSource,
    S3Source,
    Source,
    SqlSource,
)
from spark_jobs.sources.connector import Connector
from spark_jobs.sources.files import FilesConnector
from spark_jobs.sources.http import HttpConnector
from spark_jobs.sources.s3 import S3Connector
from spark_jobs.sources.sql import SqlConnector

_CONNECTORS: Final[Mapping[type, Callable[..., Connector]]] = {
    FilesSource: FilesConnector,
    S3Source: S3Connector,
    HttpSource: HttpConnector,
    SqlSource: SqlConnector,
}


def connect(name: str, source: Source, ingest: IngestSettings) -> Connector:
    """Return the connector of a source; nothing is read yet."""
    return _CONNECTORS[type(source)](name, source, ingest)


def is_scanned(source: Source) -> bool:
    """Return whether a source is looked through by ingest; documents of the others arrive by themselves."""
    return not isinstance(source, KafkaSource | PushSource)
