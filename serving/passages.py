"""Passages: chunks as callers see them, and one chunk under the same gate as every hit."""

from __future__ import annotations

import pyarrow.compute as pc
from pydantic import BaseModel

from ragstone.contracts.records import Principal
from ragstone.features.online import ChunkFeatures, DocumentFeatures, OnlineReader
from ragstone.runtime.errors import NotFoundError
from serving.generation.citations import chunk_url
from serving.index.snapshot import IndexSnapshot
from serving.retrieval.gate import judge


class Passage(BaseModel):
    """A chunk: exactly [char_start, char_end) of the document's silver text, in code points."""

    chunk_id: str
    document_id: str
    title: str | None
    source: str | None
    source_uri: str | None
    heading_path: str | None
    char_start: int
    char_end: int
    text: str
    url: str


def passage(chunk: ChunkFeatures, document: DocumentFeatures) -> Passage:
    """Return a chunk that passed the gate as callers see it."""
    return Passage(
        chunk_id=chunk.chunk_id,
        document_id=document.document_id,
        title=document.title,
        source=document.source,
        source_uri=document.source_uri,
        heading_path=chunk.heading_path,
        char_start=chunk.char_start,
        char_end=chunk.char_end,
        text=chunk.text,
        url=chunk_url(chunk.chunk_id),
    )


def gated_passage(snapshot: IndexSnapshot, reader: OnlineReader, chunk_id: str, principal: Principal) -> Passage:
    """Return a chunk of the served index, if a question of this principal could be answered from it now.

    Raises NotFoundError for every other chunk, in the same words whatever the reason, so that nobody learns what they
    may not read; and RetrievalUnavailableError.
    """
    known = _indexed(snapshot, chunk_id)
    if known is not None:
        document_id, text_hash = known
        [chunk], [document] = reader.read([chunk_id], [document_id])
        if chunk is not None and document is not None and judge(text_hash, chunk, document, principal) is None:
            return passage(chunk, document)
    raise NotFoundError(
        "there is no such chunk",
        where="chunks",
        got=chunk_id,
        wanted="the id of a chunk that you may read and that is served now",
    )


def _indexed(snapshot: IndexSnapshot, chunk_id: str) -> tuple[str, str] | None:
    """Return document_id and text_hash of a chunk as the index has them, or None when it has no such chunk."""
    rows = snapshot.rows()
    position = pc.index(rows["chunk_id"], chunk_id).as_py()
    return None if position < 0 else (rows["document_id"][position].as_py(), rows["text_hash"][position].as_py())
