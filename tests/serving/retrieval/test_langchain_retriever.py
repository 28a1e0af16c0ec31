from __future__ import annotations

import asyncio

import pytest

from ragstone.contracts.records import Principal
from ragstone.embedding.load import load_embedder
from ragstone.features.online import OnlineReader
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings
from serving.index.snapshot import open_current
from serving.retrieval.langchain_retriever import RagstoneRetriever, RagstoneVectorStore
from serving.retrieval.retriever import Retriever
from tests.serving.world import KILN, PAYROLL

PUBLIC = Principal("anonymous", frozenset({"public"}))
STAFF = Principal("ann", frozenset({"staff"}))
FIRED = "To which degrees was the old kiln at Aldermoor fired?"
PASSWORD = "What is the hint for the payroll password, the parrot?"


@pytest.fixture
def retriever(world: Settings) -> Retriever:
    snapshot = open_current(world)
    return Retriever(world, load_embedder(world), lambda: snapshot, OnlineReader(world))


def test_passages_come_with_their_origin_and_nothing_is_told_to_anybody(retriever: Retriever) -> None:
    passages = RagstoneRetriever(retriever=retriever, principal=PUBLIC, k=2)
    # The guard over every test fails this one when LangChain reports the question to its makers.
    document, *_ = passages.invoke(FIRED)
    assert asyncio.run(passages.ainvoke(FIRED))[0] == document
    assert document.page_content == KILN.paragraphs[0]
    assert document.id == KILN.chunk_id()
    assert document.metadata["source_uri"] == "kiln.md"


def test_a_question_without_an_answer_gives_no_passage_unless_asked_for(retriever: Retriever) -> None:
    question = "Who won the football match yesterday?"
    assert RagstoneRetriever(retriever=retriever, principal=PUBLIC, k=2).invoke(question) == []
    insisting = RagstoneRetriever(retriever=retriever, principal=PUBLIC, k=2, even_if_unanswerable=True)
    assert len(insisting.invoke(question)) == 2


def test_a_vector_store_sees_what_its_principal_may_read(retriever: Retriever) -> None:
    for principal, readable in ((STAFF, PAYROLL), (PUBLIC, KILN)):
        store = RagstoneVectorStore(retriever, principal)
        nearest = {document.id for document, _ in store.similarity_search_with_score(PASSWORD, k=4)}
        assert (PAYROLL.chunk_id() in nearest) is (readable is PAYROLL)
        named = store.get_by_ids([PAYROLL.chunk_id(), KILN.chunk_id()])
        assert [document.id for document in named] == [readable.chunk_id()]
    assert store.similarity_search(FIRED, k=1)[0].page_content == KILN.paragraphs[0]


def test_nothing_is_written_through_langchain(retriever: Retriever) -> None:
    store = RagstoneVectorStore(retriever, PUBLIC)
    for write in (lambda: store.add_texts(["text"]), lambda: store.delete([KILN.chunk_id()])):
        with pytest.raises(UsageError):
            write()
