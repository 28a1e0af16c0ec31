"""What has to go with a document, found before anything is taken away: ids, landing objects and the traces of its text.

Bytes and passages that another document has too are that document's, and stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ragstone.contracts.tables import DOCUMENT_STATS, RETRIEVALS, SILVER_CHUNKS, SILVER_DOCUMENTS
from ragstone.lake import read
from ragstone.lake.purge_landing import landed_lines, purged_uri
from ragstone.lake.purge_record import PurgeRecord
from ragstone.runtime.settings import Settings
from ragstone.runtime.traces import Traces, leaves


def collect(settings: Settings, record: PurgeRecord) -> None:
    """Fill a record with what the home knows of its document; what was collected before stays collected."""
    root, document_id = settings.lake_root, record.document_id
    record.chunk_ids = sorted({*record.chunk_ids, *_chunk_ids(root, document_id)})
    record.answer_ids = sorted({*record.answer_ids, *_answer_ids(root, document_id)})
    own, others = _landing_objects(settings, document_id)
    record.shared_objects = sorted(own & others)
    record.objects = sorted({*record.objects, *own} - others)
    for text in _own_texts(settings, record, own):
        record.traces.learn(text)
    record.shared_with = sorted(_forget_shared(settings, record.traces, document_id, others))


def _chunk_ids(root: Path, document_id: str) -> list[str]:
    sql = "SELECT DISTINCT chunk_id FROM chunks WHERE document_id = ?"
    return [str(name) for name in read.query(root, sql, (document_id,), chunks=SILVER_CHUNKS)["chunk_id"].to_pylist()]


def _answer_ids(root: Path, document_id: str) -> list[str]:
    sql = "SELECT DISTINCT answer_id FROM events WHERE contains(citations, ?)"
    return [str(name) for name in read.query(root, sql, (document_id,), events=RETRIEVALS)["answer_id"].to_pylist()]


def _landing_objects(settings: Settings, document_id: str) -> tuple[set[str], set[str]]:
    own: set[str] = set()
    others: set[str] = set()
    for line in landed_lines(settings):
        if line.get("landing_uri"):
            (own if line["document_id"] == document_id else others).add(line["landing_uri"])
    return own, others


def _own_texts(settings: Settings, record: PurgeRecord, objects: set[str]) -> Iterator[str]:
    for row in _titles_and_texts(settings.lake_root, "document_id = ?", record.document_id):
        yield from (text for name, text in row.items() if name != "document_id" and text)
    for line in landed_lines(settings):
        if line["document_id"] == record.document_id and line["source_uri"] != purged_uri(record.document_id):
            yield line["source_uri"]
            yield from leaves(list((line.get("source_metadata") or {}).values()))
    for uri in sorted(objects):
        yield from object_texts(settings.landing_root / uri)


def _forget_shared(settings: Settings, traces: Traces, document_id: str, others: set[str]) -> set[str]:
    """Drop traces that other documents leave too, and return the documents whose text has some."""
    sharing = set()
    for row in _titles_and_texts(settings.lake_root, "document_id <> ?", document_id):
        # Not any(), which would stop at the first text that shares something.
        if sum([traces.forget(text) for name, text in row.items() if name != "document_id" and text]):
            sharing.add(row["document_id"])
    for line in landed_lines(settings):
        if line["document_id"] != document_id:
            for text in leaves([line["source_uri"], line.get("source_metadata") or {}]):
                traces.forget(text)
    for uri in sorted(others):
        for text in object_texts(settings.landing_root / uri):
            traces.forget(text)
    return sharing


def _titles_and_texts(root: Path, condition: str, document_id: str) -> Iterator[dict[str, str]]:
    for spec, columns in ((SILVER_DOCUMENTS, "title, text, source_uri"), (DOCUMENT_STATS, "title, source_uri")):
        sql = f"SELECT document_id, {columns} FROM t WHERE active AND {condition}"
        yield from read.query(root, sql, (document_id,), t=spec).to_pylist()


def living_texts(root: Path) -> Iterator[str]:
    """Yield the texts, titles and addresses of all documents that live."""
    for row in _titles_and_texts(root, "document_id <> ?", ""):
        yield from (text for text in row.values() if text)


def object_texts(path: Path) -> Iterator[str]:
    """Yield the texts in a landing object: those of a JSON document, or the whole; none for bytes that are no text."""
    try:
        content = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return
    try:
        yield from leaves(json.loads(content))
    except ValueError:
        if "\0" not in content:
            yield content
