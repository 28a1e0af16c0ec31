"""Which documents differ from what bronze says of them: what preprocess has to do, told without reading a text.

Content counts once validate has accepted its landing batch, unless that very version is held in quarantine; what ends a
document counts at once, and so does who may read it. A version that is not taken leaves the one before it alive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from ragstone.contracts.state import newest_rows_sql, state_sql
from ragstone.contracts.tables import (
    BRONZE_DOCUMENTS,
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
    TableSpec,
)
from ragstone.lake import read
from ragstone.lake.quarantine import RETRY, held_entries

_TIMES: Final = ("active", "event_timestamp", "created_timestamp")
_VERSIONED: Final = (SILVER_DOCUMENTS, DOCUMENT_ACCESS, SILVER_CHUNKS, DOCUMENT_STATS)


@dataclass(frozen=True)
class ReadBy:
    """How content of one MIME type is read now: by this parser, in this version."""

    parser: str
    parser_version: str


@dataclass(frozen=True)
class DocumentState:
    """What bronze says of one document, and how silver differs.

    `alive` is what the document shall be; the fields from `source` to `source_modified_at` describe the version that
    counts. `to_write` says that documents, chunks or stats differ from it; `text_stands` that text and chunks do not:
    at most what the source says of them does. `is_open` says that silver has a living document now. `acl` comes
    from the newest envelope that has one, `access_at` from when access last changed; `access_differs` says that
    document_access has it otherwise. `versions` counts the versions silver has had.
    """

    document_id: str
    alive: bool
    source: str
    source_uri: str
    event_timestamp: datetime
    content_hash: str | None
    mime_type: str | None
    landing_uri: str | None
    size_bytes: int | None
    source_modified_at: datetime | None
    to_write: bool
    text_stands: bool
    is_open: bool
    acl: tuple[str, ...] | None
    access_at: datetime
    access_differs: bool
    versions: int

    @property
    def has_to_be_read(self) -> bool:
        """Return whether the text has to be parsed and cut."""
        return self.alive and not self.text_stands


@dataclass(frozen=True)
class PendingDocuments:
    """The documents that differ, out of `total` that count, and the newest created_timestamp in silver, if any."""

    differing: tuple[DocumentState, ...]
    total: int
    newest_write: datetime | None


def pending_documents(
    root: Path, accepted_batch: int, readers: Mapping[str, ReadBy], default_reader: ReadBy, chunker_hash: str
) -> PendingDocuments:
    """Return what differs from bronze, whose content counts up to landing batch `accepted_batch`.

    `readers` are by MIME type; a document that was read otherwise, or cut by another chunker, differs too.
    """
    tables: dict[str, TableSpec | pa.Table] = {
        "bronze": BRONZE_DOCUMENTS,
        "silver_documents": SILVER_DOCUMENTS,
        "silver_access": DOCUMENT_ACCESS,
        "silver_chunks": SILVER_CHUNKS,
        "silver_stats": DOCUMENT_STATS,
        "set_aside": held_entries(root).select(["document_id", "content_hash", "dataset", "resolution"]),
        "readers": _readers_table(readers),
    }
    parameters = (accepted_batch, chunker_hash, default_reader.parser, default_reader.parser_version)
    rows = read.query(root, _SQL, parameters, **tables).to_pylist()
    differing = tuple(_document_state(row) for row in rows if row["document_id"] is not None)
    return PendingDocuments(differing, rows[0]["total"] if rows else 0, _newest_write(root))


def known_chunks(root: Path, document_ids: Sequence[str]) -> dict[str, list[tuple[str, int, int, int, str, int]]]:
    """Return the living chunks of documents as (chunk_id, ordinal, char_start, char_end, heading_path, token_count)."""
    columns = ("document_id", "chunk_id", "ordinal", "char_start", "char_end", "heading_path", "token_count")
    rows = read.query(
        root,
        f"SELECT {', '.join(columns)} FROM ({_narrow_state(SILVER_CHUNKS, 'chunks', columns)})"
        " WHERE document_id IN (SELECT document_id FROM wanted)",
        chunks=SILVER_CHUNKS,
        wanted=pa.table({"document_id": pa.array(document_ids, pa.string())}),
    )
    found: dict[str, list[tuple[str, int, int, int, str, int]]] = {}
    for row in rows.to_pylist():
        document_id, *facts = row.values()
        found.setdefault(document_id, []).append(tuple(facts))
    return found


def _narrow(spec: TableSpec, columns: Sequence[str]) -> TableSpec:
    wanted = {*spec.keys, *columns, *_TIMES}
    return replace(spec, columns=tuple(column for column in spec.columns if column.name in wanted))


def _narrow_state(spec: TableSpec, relation: str, columns: Sequence[str]) -> str:
    return state_sql(_narrow(spec, columns), relation)


def _narrow_newest(spec: TableSpec, relation: str, *columns: str) -> str:
    return newest_rows_sql(_narrow(spec, columns), relation)


_READ_FROM_BRONZE: Final = (
    "document_id, source, source_uri, fetched_at, content_hash, mime_type, landing_uri, size_bytes, source_modified_at"
)

_COMPARED: Final = ("content_hash", "source_modified_at", "parser", "parser_version")

# A document without chunks may have had none, or may have lost them to quarantine.
_TEXT_DIFFERS: Final = """
    NOT coalesce(d.active, FALSE) OR NOT coalesce(s.active, FALSE)
        OR (d.content_hash, d.parser, d.parser_version)
            IS DISTINCT FROM (c.content_hash, coalesce(p.parser, $3), coalesce(p.parser_version, $4))
        OR NOT coalesce(k.is_current, TRUE)
        OR (s.chunk_count > 0 AND k.living IS NULL AND j.document_id IS NULL)
        OR coalesce(j.is_retried, FALSE)"""

# One row per document that differs, and one without a document_id that carries the total alone.
_SQL: Final = f"""
    WITH counting AS (
        SELECT {_READ_FROM_BRONZE}, content_hash IS NOT NULL AS alive FROM (
            SELECT {_READ_FROM_BRONZE}, row_number() OVER (PARTITION BY document_id ORDER BY landing_batch DESC) AS turn
            FROM bronze b WHERE content_hash IS NULL OR (landing_batch <= $1 AND NOT EXISTS (
                FROM set_aside s WHERE s.document_id = b.document_id AND s.content_hash = b.content_hash
                AND NOT (s.dataset = '{SILVER_DOCUMENTS.name}' AND coalesce(s.resolution, '') = '{RETRY}')
            ))
        ) WHERE turn = 1
    ), rights AS (
        SELECT document_id, acl, fetched_at FROM (
            SELECT document_id, acl, fetched_at,
                row_number() OVER (PARTITION BY document_id ORDER BY landing_batch DESC) AS turn
            FROM bronze WHERE content_hash IS NOT NULL
        ) WHERE turn = 1
    ), documents AS (
        {_narrow_newest(SILVER_DOCUMENTS, "silver_documents", *_COMPARED)}
    ), access AS (
        {_narrow_newest(DOCUMENT_ACCESS, "silver_access", "acl")}
    ), stats AS (
        {_narrow_newest(DOCUMENT_STATS, "silver_stats", "chunk_count")}
    ), chunks AS (
        SELECT document_id, count(*) AS living, bool_and(chunker_hash = $2) AS is_current
        FROM ({_narrow_state(SILVER_CHUNKS, "silver_chunks", ("document_id", "chunker_hash"))}) GROUP BY document_id
    ), versions AS (
        SELECT document_id, count(*) AS versions FROM silver_documents WHERE active GROUP BY document_id
    ), rejected_chunks AS (
        SELECT document_id, bool_or(coalesce(resolution, '') = '{RETRY}') AS is_retried FROM set_aside
        WHERE dataset = '{SILVER_CHUNKS.name}' GROUP BY document_id
    ), compared AS (
        SELECT c.*,
            coalesce(d.active, FALSE) AS is_open,
            CASE WHEN c.alive THEN r.acl END AS acl,
            CASE WHEN c.alive THEN greatest(c.fetched_at, r.fetched_at) ELSE c.fetched_at END AS access_at,
            coalesce(v.versions, 0) AS versions,
            CASE WHEN NOT c.alive THEN coalesce(d.active, FALSE) OR coalesce(s.active, FALSE) OR k.living IS NOT NULL
            WHEN d.event_timestamp > c.fetched_at THEN FALSE
            ELSE {_TEXT_DIFFERS} OR d.source_modified_at IS DISTINCT FROM c.source_modified_at
            END AS to_write,
            c.alive AND NOT ({_TEXT_DIFFERS}) AS text_stands,
            a.document_id IS NOT NULL AS has_access, coalesce(a.active, FALSE) AS access_active,
            a.acl AS access_acl, a.event_timestamp AS access_timestamp
        FROM counting c
        LEFT JOIN rights r USING (document_id) LEFT JOIN documents d USING (document_id)
        LEFT JOIN access a USING (document_id) LEFT JOIN stats s USING (document_id)
        LEFT JOIN chunks k USING (document_id) LEFT JOIN versions v USING (document_id)
        LEFT JOIN rejected_chunks j USING (document_id) LEFT JOIN readers p ON p.mime_type = c.mime_type
    ), judged AS (
        SELECT *, CASE
            WHEN access_timestamp > access_at THEN FALSE
            WHEN NOT alive THEN access_active OR (is_open AND NOT has_access)
            ELSE (is_open OR to_write) AND (NOT access_active OR access_acl IS DISTINCT FROM acl)
            END AS access_differs
        FROM compared
    )
    SELECT t.total, j.* FROM (SELECT count(*) AS total FROM judged) t
    LEFT JOIN (SELECT * FROM judged WHERE to_write OR access_differs) j ON TRUE"""


def _readers_table(readers: Mapping[str, ReadBy]) -> pa.Table:
    columns = ("mime_type", "parser", "parser_version")
    rows = [(mime_type, reader.parser, reader.parser_version) for mime_type, reader in readers.items()]
    return pa.table({name: pa.array([row[at] for row in rows], pa.string()) for at, name in enumerate(columns)})


def _document_state(row: Mapping[str, object]) -> DocumentState:
    facts = {name: row[name] for name in DocumentState.__dataclass_fields__ if name in row}
    acl = row["acl"]
    facts["acl"] = None if acl is None else tuple(acl)  # type: ignore[arg-type]
    return DocumentState(**{**facts, "event_timestamp": row["fetched_at"]})  # type: ignore[arg-type]


def _newest_write(root: Path) -> datetime | None:
    newest = " UNION ALL ".join(f"SELECT max(created_timestamp) AS newest FROM t{at}" for at in range(len(_VERSIONED)))
    tables: dict[str, TableSpec | pa.Table] = {f"t{at}": spec for at, spec in enumerate(_VERSIONED)}
    found = read.query(root, f"SELECT max(newest) AS newest FROM ({newest})", (), **tables)
    result: datetime | None = found["newest"][0].as_py()
    return result
