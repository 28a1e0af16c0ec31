"""Retrieved chunks for tests, complete unless a test says otherwise."""

from __future__ import annotations

from ragstone.contracts.identity import stable_hash, text_hash
from ragstone.features.online import ChunkFeatures, DocumentFeatures
from serving.retrieval.retriever import RetrievedChunk
from tests.factories import DAY_ZERO


def make_hit(text: str, rank: int = 1, score: float = 0.5, char_start: int = 0) -> RetrievedChunk:
    """Return a hit whose chunk and document are named after its text."""
    document_id = stable_hash("document", text)
    chunk = ChunkFeatures(
        chunk_id=stable_hash("chunk", text),
        document_id=document_id,
        ordinal=0,
        char_start=char_start,
        char_end=char_start + len(text),
        heading_path="",
        text=text,
        token_count=len(text.split()),
        text_hash=text_hash(text),
        active=True,
        event_timestamp=DAY_ZERO,
    )
    document = DocumentFeatures(
        document_id=document_id,
        acl=("public",),
        active=True,
        title="A guide",
        source="notes",
        source_uri="guide.md",
        language="en",
        source_modified_at=None,
        event_timestamp=DAY_ZERO,
    )
    return RetrievedChunk(rank, score, chunk, document)
