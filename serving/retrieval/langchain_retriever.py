"""Ragstone as LangChain sees it: a retriever and a read-only vector store, for chains of one's own.

Every document that comes out has passed the online gate for the principal it was made for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.vectorstores import VectorStore
from langsmith import tracing_context
from pydantic import ConfigDict

from ragstone.contracts.records import Principal
from ragstone.features.online import ChunkFeatures, DocumentFeatures
from ragstone.runtime.errors import UsageError
from serving.retrieval.retriever import Retriever


class RagstoneRetriever(BaseRetriever):
    """Returns the passages of one principal for a question, best first; none when the question has no answer here.

    With `even_if_unanswerable`, passages come back whatever the abstain model says of them.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    retriever: Retriever
    principal: Principal
    k: int
    even_if_unanswerable: bool = False

    # LangChain sends what passes through to LangSmith when it finds its variables: questions and passages stay here.
    def invoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Return the passages for a question."""
        with tracing_context(enabled=False):
            return super().invoke(input, config, **kwargs)

    async def ainvoke(self, input: str, config: RunnableConfig | None = None, **kwargs: Any) -> list[Document]:
        """Return the passages for a question, from a thread."""
        with tracing_context(enabled=False):
            return await super().ainvoke(input, config, **kwargs)

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:  # noqa: ARG002 - LangChain's signature
        retrieval = self.retriever.retrieve(query, self.principal, self.k)
        if not (retrieval.abstain.answerable or self.even_if_unanswerable):
            return []
        return [as_document(hit.chunk, hit.document) for hit in retrieval.hits]


class RagstoneVectorStore(VectorStore):
    """Searches as one principal. Documents come in by ingest and leave by delete, never through here."""

    def __init__(self, retriever: Retriever, principal: Principal) -> None:
        self._retriever = retriever
        self._principal = principal

    def similarity_search(self, query: str, k: int = 4, **_: Any) -> list[Document]:
        """Return at most k passages, best first."""
        return [document for document, _ in self.similarity_search_with_score(query, k)]

    def similarity_search_with_score(self, query: str, k: int = 4, **_: Any) -> list[tuple[Document, float]]:
        """Return at most k passages with their cosines, best first: higher is better."""
        hits = self._retriever.retrieve(query, self._principal, k).hits
        return [(as_document(hit.chunk, hit.document), hit.score) for hit in hits]

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return the chunks of these ids that the principal may read now, in the order asked; others are left out."""
        looked_up = self._retriever.look_up(ids, self._principal)
        return [as_document(*looked_up[name]) for name in ids if name in looked_up]

    def add_texts(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: texts without a source have no origin to show. Raises UsageError."""
        raise _read_only()

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse: chunks leave with their document. Raises UsageError."""
        raise _read_only()

    @classmethod
    def from_texts(cls, texts: list[str], embedding: Embeddings, *_: Any, **__: Any) -> NoReturn:  # noqa: ARG003 - LangChain's signature
        """Refuse: an index is built from the lake. Raises UsageError."""
        raise _read_only()


def as_document(chunk: ChunkFeatures, document: DocumentFeatures) -> Document:
    """Return a gated chunk as a LangChain document whose metadata tells where it comes from."""
    return Document(
        id=chunk.chunk_id,
        page_content=chunk.text or "",
        metadata={
            "document_id": document.document_id,
            "title": document.title,
            "source": document.source,
            "source_uri": document.source_uri,
            "heading_path": chunk.heading_path,
            "char_start": chunk.char_start,
            "char_end": chunk.char_end,
        },
    )


def _read_only() -> UsageError:
    return UsageError(
        "this vector store is read-only",
        where="LangChain",
        got="a write",
        wanted="documents that come in by `ragstone ingest` and leave by `ragstone documents delete`",
        next_step="ragstone ingest",
    )
