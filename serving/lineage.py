"""Lineage: from each sentence that was cited back to the bytes its source gave us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ragstone.contracts.records import Citation, Principal
from ragstone.contracts.state import AsOf, state_sql
from ragstone.contracts.tables import BRONZE_DOCUMENTS, QUALITY_RESULTS, RUNS, SILVER_CHUNKS, SILVER_DOCUMENTS
from ragstone.lake.read import query
from serving.events import RetrievalEvent, RetrievalLog

Row = Mapping[str, Any]

_CHUNK_SQL: Final = """
    SELECT chunk_id, ordinal, char_start, char_end, heading_path, text_hash, chunker_hash, event_timestamp,
           created_timestamp, run_id
    FROM ({state}) SEMI JOIN wanted USING (chunk_id)"""
_DOCUMENT_SQL: Final = """
    SELECT document_id, title, source, source_uri, content_hash, text_hash, parser, parser_version, text,
           event_timestamp, created_timestamp, run_id
    FROM ({state}) SEMI JOIN wanted USING (document_id)"""
# The version that was parsed is the newest one with those bytes that was known when the document was written.
_BRONZE_SQL: Final = """
    SELECT b.document_id, change, b.source, b.source_uri, fetched_at, b.content_hash, size_bytes, mime_type,
           landing_uri, landing_batch, b.run_id
    FROM bronze b JOIN wanted w ON b.document_id = w.document_id AND b.content_hash = w.content_hash
    WHERE fetched_at <= w.event_timestamp
    QUALIFY row_number() OVER (PARTITION BY b.document_id ORDER BY fetched_at DESC, landing_batch DESC) = 1"""
_RUNS_SQL: Final = """
    SELECT run_id, step, status, started_at, seconds, rows_in, accepted, quarantined, ruleset_hash
    FROM runs SEMI JOIN wanted USING (run_id) ORDER BY started_at"""
_QUALITY_SQL: Final = """
    SELECT run_id, dataset, kind, rule, outcome, failed_rows
    FROM quality SEMI JOIN wanted USING (run_id) ORDER BY run_id, dataset, kind, rule"""


@dataclass(frozen=True)
class Evidence:
    """One citation and what it rests on, each as the lake had it when the question was asked; None where it is gone.

    `quote_matches` says whether the quote is, character for character, what the document's silver text has there.
    """

    citation: Citation
    chunk: Row | None
    document: Row | None
    bronze: Row | None
    quote_matches: bool


@dataclass(frozen=True)
class Lineage:
    """Where an answer comes from: the question, the index, the evidence, and the runs that made it with their rules."""

    answer_id: str
    session_id: str
    question: str
    answer: str
    abstained: bool
    asked_at: datetime
    index_version: str
    index_manifest: Row | None
    online_watermark: Row
    encoder_hash: str
    prompt_hash: str
    settings_hash: str
    hits: list[Row]
    evidence: list[Evidence]
    runs: list[Row]
    quality: list[Row]


@dataclass(frozen=True)
class LineageReader:
    """Reads lineage from the retrieval log, the lake below `lake_root` and the index folder."""

    log: RetrievalLog
    lake_root: Path
    index_root: Path

    def read(self, answer_id: str, principal: Principal) -> Lineage:
        """Return the lineage of an answer that this principal was given.

        Raises NotFoundError when there is no such answer, or it was given to somebody else.
        """
        event = self.log.given(answer_id, principal)
        evidence = self._evidence(event)
        run_ids = _run_ids(evidence)
        return Lineage(
            answer_id=event.answer_id,
            session_id=event.session_id,
            question=event.question,
            answer=event.answer,
            abstained=event.abstained,
            asked_at=event.event_timestamp,
            index_version=event.index_version,
            index_manifest=self._manifest(event.index_version),
            online_watermark=json.loads(event.online_watermark),
            encoder_hash=event.encoder_hash,
            prompt_hash=event.prompt_hash,
            settings_hash=event.settings_hash,
            hits=json.loads(event.hits),
            evidence=evidence,
            runs=self._rows(_RUNS_SQL, runs=RUNS, wanted=_column("run_id", run_ids)),
            quality=self._rows(_QUALITY_SQL, quality=QUALITY_RESULTS, wanted=_column("run_id", run_ids)),
        )

    def _evidence(self, event: RetrievalEvent) -> list[Evidence]:
        citations = [Citation(**citation) for citation in json.loads(event.citations)]
        served = AsOf(known_by=event.event_timestamp, written_by=event.event_timestamp)
        chunks = self._chunks({citation.chunk_id for citation in citations}, served)
        documents = self._documents({citation.document_id for citation in citations}, served)
        bronze = self._bronze(documents.values())
        return [
            Evidence(
                citation=citation,
                chunk=chunks.get(citation.chunk_id),
                document=_without_text(documents.get(citation.document_id)),
                bronze=bronze.get(citation.document_id),
                quote_matches=_matches(citation, documents.get(citation.document_id)),
            )
            for citation in citations
        ]

    def _chunks(self, chunk_ids: Iterable[str], served: AsOf) -> dict[str, Row]:
        sql = _CHUNK_SQL.format(state=state_sql(SILVER_CHUNKS, "chunks", served))
        rows = self._rows(sql, chunks=SILVER_CHUNKS, wanted=_column("chunk_id", chunk_ids))
        return {row["chunk_id"]: row for row in rows}

    def _documents(self, document_ids: Iterable[str], served: AsOf) -> dict[str, Row]:
        sql = _DOCUMENT_SQL.format(state=state_sql(SILVER_DOCUMENTS, "documents", served))
        rows = self._rows(sql, documents=SILVER_DOCUMENTS, wanted=_column("document_id", document_ids))
        return {row["document_id"]: row for row in rows}

    def _bronze(self, documents: Iterable[Row]) -> dict[str, Row]:
        wanted = [{name: row[name] for name in ("document_id", "content_hash", "event_timestamp")} for row in documents]
        if not wanted:
            return {}
        rows = self._rows(_BRONZE_SQL, bronze=BRONZE_DOCUMENTS, wanted=pa.Table.from_pylist(wanted))
        return {row["document_id"]: row for row in rows}

    def _rows(self, sql: str, **relations: Any) -> list[Row]:
        rows: list[Row] = query(self.lake_root, sql, **relations).to_pylist()
        return rows

    def _manifest(self, version: str) -> Row | None:
        path = self.index_root / version / "manifest.json"
        return dict(json.loads(path.read_text("utf-8"))) if path.is_file() else None


def _column(name: str, values: Iterable[str]) -> pa.Table:
    return pa.table({name: pa.array(sorted(values), pa.string())})


def _run_ids(evidence: Iterable[Evidence]) -> set[str]:
    rows = (row for item in evidence for row in (item.chunk, item.document, item.bronze))
    return {row["run_id"] for row in rows if row is not None}


def _without_text(document: Row | None) -> Row | None:
    return None if document is None else {name: value for name, value in document.items() if name != "text"}


def _matches(citation: Citation, document: Row | None) -> bool:
    return document is not None and document["text"][citation.char_start : citation.char_end] == citation.quote
