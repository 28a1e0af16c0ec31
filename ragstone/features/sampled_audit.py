"""Some chunks looked at closely: is what is online of them, value for value, what the lake holds now?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from ragstone.contracts.state import state_sql
from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS, TableSpec
from ragstone.features.online import ChunkFeatures, DocumentFeatures, OnlineReader
from ragstone.lake import ops, read
from ragstone.runtime.logging import get_logger
from ragstone.runtime.redis_server import has_server
from ragstone.runtime.settings import Settings

_MATERIALIZE: Final = "materialize"
_CHUNK_COLUMNS: Final = (
    "document_id",
    "ordinal",
    "char_start",
    "char_end",
    "heading_path",
    "text",
    "token_count",
    "text_hash",
    "event_timestamp",
)


def sampled_differences(settings: Settings, chunk_ids: Sequence[str]) -> list[str] | None:
    """Return how chunks and their documents differ online from the lake now, a sentence each, or None.

    None means that nothing was ever materialized, so that there is nothing to compare. What is dead in the lake may be
    online as a tombstone or not at all. A row that is online as when its table was last materialized does not differ:
    what came since is still to be brought online. Raises RetrievalUnavailableError when Redis does not answer in time.
    """
    if not has_server(settings):
        return None
    reader = OnlineReader(settings)
    try:
        versions = reader.marker().table_versions()
        if not versions and ops.last_run(settings.lake_root, _MATERIALIZE) is None:
            return None
        found = _differences(settings, reader, chunk_ids, {})
        if not found or not versions:
            return found
        try:
            then = _differences(settings, reader, chunk_ids, versions)
        except Exception as gone:  # noqa: BLE001  (DuckDB's and Delta's own errors for files that are no more)
            # A purge or a vacuum took that version: nobody can tell what is only late from what is wrong.
            get_logger(__name__).warning("online_rows_not_judged", what=str(gone)[:200], differences=len(found))
            return []
        return [difference for difference in found if difference in then]
    finally:
        reader.close()


def _differences(
    settings: Settings, reader: OnlineReader, chunk_ids: Sequence[str], versions: Mapping[str, int]
) -> list[str]:
    """Return how rows differ online from the lake at some table versions; a table that is not named, from it now."""
    chunks = _living(settings, SILVER_CHUNKS, chunk_ids, versions)
    documents = _living(settings, DOCUMENT_ACCESS, sorted({row["document_id"] for row in chunks.values()}), versions)
    online = reader.read(chunk_ids, list(documents))
    found = [_chunk_difference(name, chunks.get(name), row) for name, row in zip(chunk_ids, online[0], strict=True)]
    found += [_document_difference(documents[name], row) for name, row in zip(documents, online[1], strict=True)]
    return [difference for difference in found if difference is not None]


def _living(
    settings: Settings, spec: TableSpec, keys: Sequence[str], versions: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    """Return the living rows of some keys, by key."""
    [key] = spec.keys
    wanted = pa.table({key: pa.array(keys, pa.string())})
    history = f"(SELECT * FROM history WHERE {key} IN (SELECT {key} FROM wanted))"
    table = read.relation(settings.lake_root, spec, versions.get(spec.name))
    rows = read.query(settings.lake_root, state_sql(spec, history), history=table, wanted=wanted).to_pylist()
    return {row[key]: row for row in rows}


def _chunk_difference(chunk_id: str, lake: Mapping[str, Any] | None, online: ChunkFeatures | None) -> str | None:
    if lake is None:
        return f"chunk {chunk_id} is dead and online" if online is not None and online.active else None
    if online is None or not online.active:
        return f"chunk {chunk_id} is not online"
    wrong = [name for name in _CHUNK_COLUMNS if getattr(online, name) != lake[name]]
    return f"chunk {chunk_id} has another {', '.join(wrong)} online" if wrong else None


def _document_difference(lake: Mapping[str, Any], online: DocumentFeatures | None) -> str | None:
    document_id = lake["document_id"]
    if online is None or not online.active:
        return f"document {document_id} is not online"
    same = (online.acl, online.event_timestamp) == (tuple(lake["acl"] or ()), lake["event_timestamp"])
    return None if same else f"document {document_id} has another access list or time online"
