"""One document at a time, from its landing object to the silver rows it adds; run in workers, but free of Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ragstone.contracts.identity import text_hash
from ragstone.contracts.tables import SILVER_CHUNKS, SILVER_DOCUMENTS, TableSpec
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import RagstoneError
from ragstone.runtime.settings import ParsingSettings
from spark_jobs.chunking.chunkers import ChunkerRecipe
from spark_jobs.chunking.structure import Chunk
from spark_jobs.document_task import chunker
from spark_jobs.parsers.document import ParsedDocument
from spark_jobs.parsers.parse import parse, parser_of

# What a parser's own mistakes look like: they set one document aside and must not end the batch.
_PARSER_FAULTS = (RagstoneError, ValueError, LookupError, ArithmeticError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Writing:
    """What all rows of one run share, and where landing objects are."""

    landing_root: Path
    recipe: ChunkerRecipe
    created_at: datetime
    run_id: str
    limits: ParsingSettings


def read_version(item: Mapping[str, Any], writing: Writing) -> dict[str, Any]:
    """Return what a document adds to silver, or the `reason` why it cannot be read.

    `item` has document_id, alive, source, source_uri, source_modified_at, content_hash, mime_type, landing_uri,
    event_timestamp, and `known`: the facts of its living chunks. The result has `document`, a row of silver.documents;
    `chunks`, only the rows of silver.chunks that differ from the known ones, tombstones included; and the document's
    title, language and counts for its stats.
    """
    if not item["alive"]:
        return _result(item, document=_tombstone(SILVER_DOCUMENTS, item, writing), chunks=_ended(item, writing, set()))
    try:
        content = LandingZone(writing.landing_root).read_object(item["landing_uri"])
        parsed = parse(content, item["mime_type"], item["source_uri"], writing.limits)
        chunks = chunker(writing.recipe).chunk(item["document_id"], parsed.text, parsed.headings, parsed.kept_lines)
    except _PARSER_FAULTS as fault:
        return _result(item, reason=_reason(fault))
    return _result(
        item,
        document=_document_row(item, parsed, writing),
        chunks=_chunk_rows(item, chunks, writing),
        title=parsed.title,
        language=parsed.language,
        char_count=len(parsed.text),
        chunk_count=len(chunks),
        token_count=sum(chunk.token_count for chunk in chunks),
    )


def _result(item: Mapping[str, Any], **found: Any) -> dict[str, Any]:
    return {"document_id": item["document_id"], "chunks": [], **found, "changed_chunks": len(found.get("chunks", ()))}


def _reason(fault: BaseException) -> str:
    if not isinstance(fault, RagstoneError):
        return f"the parser failed: {type(fault).__name__}: {fault}"
    return "; ".join([fault.what, *(f"{name}: {value}" for name, value in fault.facts().items())])


def _document_row(item: Mapping[str, Any], parsed: ParsedDocument, writing: Writing) -> dict[str, Any]:
    parser = parser_of(item["mime_type"])
    carried = ("document_id", "source", "source_uri", "source_modified_at", "content_hash")
    return {
        **{name: item[name] for name in carried},
        "title": parsed.title,
        "text": parsed.text,
        "language": parsed.language,
        "text_hash": text_hash(parsed.text),
        "parser": parser.name,
        "parser_version": parser.full_version,
        **_version(item, writing, active=True),
    }


def _chunk_rows(item: Mapping[str, Any], chunks: Sequence[Chunk], writing: Writing) -> list[dict[str, Any]]:
    known = {fact[0]: tuple(fact[1:]) for fact in item["known"]}
    rows = [
        {
            **asdict(chunk),
            "document_id": item["document_id"],
            "chunker_hash": writing.recipe.chunker_hash,
            **_version(item, writing, active=True),
        }
        for chunk in chunks
        if known.get(chunk.chunk_id) != _facts(chunk)
    ]
    return rows + _ended(item, writing, {chunk.chunk_id for chunk in chunks})


def _facts(chunk: Chunk) -> tuple[int, int, int, str, int]:
    return chunk.ordinal, chunk.char_start, chunk.char_end, chunk.heading_path, chunk.token_count


def _ended(item: Mapping[str, Any], writing: Writing, living: set[str]) -> list[dict[str, Any]]:
    """Return a tombstone for each known chunk that lives no more."""
    ids = [fact[0] for fact in item["known"] if fact[0] not in living]
    return [_tombstone(SILVER_CHUNKS, {**item, "chunk_id": chunk_id}, writing) for chunk_id in ids]


def _tombstone(spec: TableSpec, item: Mapping[str, Any], writing: Writing) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(spec.column_names)
    return {**row, **{key: item[key] for key in spec.keys}, **_version(item, writing, active=False)}


def _version(item: Mapping[str, Any], writing: Writing, *, active: bool) -> dict[str, Any]:
    return {
        "active": active,
        "event_timestamp": item["event_timestamp"],
        "created_timestamp": writing.created_at,
        "run_id": writing.run_id,
    }
