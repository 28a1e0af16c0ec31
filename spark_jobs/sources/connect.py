"""Which connector reads which kind of source."""

from __future__ import annotations

from ragstone.runtime.settings import FilesSource, IngestSettings
from spark_jobs.sources.connector import Connector
from spark_jobs.sources.files import FilesConnector


def connect(name: str, source: FilesSource, ingest: IngestSettings) -> Connector:
    """Return the connector of a source; nothing is read yet."""
    return FilesConnector(name, source, ingest.max_item_bytes)
