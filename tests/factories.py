"""Rows and records for tests: complete and valid unless a test says otherwise. Times are UTC."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ragstone.contracts.identity import chunk_id, content_hash, document_id, stable_hash, text_hash
from ragstone.contracts.records import Envelope
from ragstone.contracts.tables import QUALITY_RESULTS, SILVER_CHUNKS, TableSpec
from ragstone.lake.delta import append_rows, table_path
from ragstone.lake.schema import table_properties

DAY_ZERO = datetime(2026, 1, 1, tzinfo=UTC)
CHUNKER_HASH = stable_hash("chunker of the tests")


def at(minutes: float) -> datetime:
    """Return a moment, in minutes after day zero."""
    return DAY_ZERO + timedelta(minutes=minutes)


def write_rows(root: Path, spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> int:
    """Append rows without a JVM. A table created here has no constraints, since only Spark can create those."""
    return append_rows(root, replace(spec, constraints={}), rows)


def constrain(root: Path, spec: TableSpec) -> None:
    """Give a table that was written without a JVM the constraints Spark creates it with, as its log has them."""
    created = table_path(root, spec) / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in created.read_text("utf-8").splitlines()]
    for action in actions:
        if "metaData" in action:
            action["metaData"]["configuration"].update(table_properties(spec))
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 1, "minWriterVersion": 3}
    created.write_text("".join(json.dumps(action) + "\n" for action in actions), "utf-8")


def make_envelope(
    source_uri: str = "guide.md", change: str = "fetched", content: bytes | None = b"# Guide", **changes: Any
) -> Envelope:
    """Return an envelope; `content` is ignored for the changes that carry none."""
    source = changes.pop("source", "notes")
    carries = change not in ("vanished", "deleted") and content is not None
    digest = content_hash(content) if carries and content is not None else None
    facts: dict[str, Any] = {
        "document_id": document_id(source, source_uri),
        "source": source,
        "source_uri": source_uri,
        "change": change,
        "fetched_at": DAY_ZERO,
        "content_hash": digest,
        "size_bytes": len(content) if carries and content is not None else None,
        "mime_type": "text/markdown" if carries else None,
        "landing_uri": f"objects/{digest[:2]}/{digest}" if digest else None,
        "acl": ("public",) if carries else None,
        "source_metadata": {} if carries else None,
        "source_modified_at": DAY_ZERO if carries else None,
    }
    return Envelope(**{**facts, **changes})


def make_bronze_row(envelope: Envelope | None = None, landing_batch: int = 1, **changes: Any) -> dict[str, Any]:
    """Return a row of bronze.documents for an envelope."""
    envelope = envelope or make_envelope()
    row = {
        **vars(envelope),
        "acl": None if envelope.acl is None else list(envelope.acl),
        "landing_batch": landing_batch,
        "created_timestamp": envelope.fetched_at + timedelta(seconds=1),
        "run_id": "run-1",
    }
    return {**row, **changes}


def make_document_row(text: str = "A guide.", source_uri: str = "guide.md", **changes: Any) -> dict[str, Any]:
    """Return an active row of silver.documents."""
    row = {
        "document_id": document_id("notes", source_uri),
        "title": source_uri,
        "text": text,
        "language": "en",
        "source": "notes",
        "source_uri": source_uri,
        "source_modified_at": DAY_ZERO,
        "content_hash": content_hash(text.encode()),
        "text_hash": text_hash(text),
        "parser": "txt",
        "parser_version": "1",
    }
    return {**row, **_version(), **changes}


def make_access_row(source_uri: str = "guide.md", **changes: Any) -> dict[str, Any]:
    """Return an active, public row of silver.document_access."""
    return {"document_id": document_id("notes", source_uri), "acl": ["public"], **_version(), **changes}


def make_chunk_row(
    text: str = "A guide.", source_uri: str = "guide.md", ordinal: int = 0, **changes: Any
) -> dict[str, Any]:
    """Return an active row of silver.chunks whose span starts at 0 unless `char_start` and `char_end` say otherwise."""
    document, digest = document_id("notes", source_uri), text_hash(text)
    row = {
        "chunk_id": chunk_id(document, CHUNKER_HASH, digest, 0),
        "document_id": document,
        "ordinal": ordinal,
        "char_start": 0,
        "char_end": len(text),
        "heading_path": "",
        "text": text,
        "token_count": len(text.split()),
        "text_hash": digest,
        "chunker_hash": CHUNKER_HASH,
    }
    return {**row, **_version(), **changes}


def make_tombstone(spec: TableSpec, key: str, **changes: Any) -> dict[str, Any]:
    """Return a tombstone of a silver table with one key: inactive, every other column null but the times."""
    row = dict.fromkeys(spec.column_names)
    return {**row, spec.keys[0]: key, **_version(), "active": False, **changes}


def _version() -> dict[str, Any]:
    return {
        "active": True,
        "event_timestamp": DAY_ZERO,
        "created_timestamp": DAY_ZERO + timedelta(seconds=1),
        "run_id": "run-1",
    }


def make_retrieval_row(answer_id: str = "a" * 32, **changes: Any) -> dict[str, Any]:
    """Return a row of events.retrievals; `cited` and `shown` are chunk ids, for its citations and its passed hits."""
    cited, shown = changes.pop("cited", ()), changes.pop("shown", ())
    row = {
        "answer_id": answer_id,
        "session_id": "s" * 32,
        "principal": "ann",
        "principal_groups": ["public"],
        "question": "What is it?",
        "answer": "It is a guide.",
        "abstained": False,
        "citations": json.dumps([{"marker": i, "chunk_id": name} for i, name in enumerate(cited, 1)]),
        "hits": json.dumps(
            [
                {"chunk_id": name, "rank": rank, "score": 1 - rank / 10, "gate": "passed"}
                for rank, name in enumerate(shown, 1)
            ]
        ),
        "index_version": "v1",
        "online_watermark": "{}",
        **{name: name for name in ("prompt_hash", "settings_hash", "encoder_hash")},
        "served_state": None,
        "event_timestamp": at(1),
        "created_timestamp": at(1.5),
    }
    return {**row, **changes}


def make_feedback_row(answer_id: str = "a" * 32, **changes: Any) -> dict[str, Any]:
    """Return a row of events.feedback: thumbs up, unless told otherwise."""
    row = {
        "feedback_id": stable_hash("feedback", answer_id),
        "answer_id": answer_id,
        "principal": "ann",
        "score": 1,
        "chunk_id": None,
        "corrected_answer": None,
        "comment": None,
        "event_timestamp": at(2),
        "created_timestamp": at(2),
    }
    return {**row, **changes}


def accept_rows(root: Path, embeddings: str = "silver.embeddings_minilm_fp32", run_id: str = "run-1") -> None:
    """Record that the audits of the chunks and of the embeddings a run wrote accepted them, as a pipeline does."""
    outcome = {"kind": "gate", "rule": "RowCount > 0", "outcome": "passed", "failed_rows": 0, "reason": None}
    judged = {"run_id": run_id, "ruleset_hash": "0" * 32, "recorded_at": DAY_ZERO}
    datasets = (SILVER_CHUNKS.name, embeddings)
    write_rows(root, QUALITY_RESULTS, [{**outcome, **judged, "dataset": dataset} for dataset in datasets])
