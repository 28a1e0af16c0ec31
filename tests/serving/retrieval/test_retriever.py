from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ragstone.contracts.records import Principal
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.load import load_embedder
from ragstone.features.access import write_access_online
from ragstone.features.online import OnlineReader
from ragstone.features.views import ACCESS, CHUNK_METADATA
from ragstone.runtime.errors import DeadlineExceededError, RetrievalUnavailableError
from ragstone.runtime.metrics import REGISTRY
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings
from serving.deadline import Deadline
from serving.index import build
from serving.index.snapshot import IndexSnapshot, open_current
from serving.retrieval.gate import DropReason
from serving.retrieval.retriever import Found, Retriever
from tests.factories import make_access_row, make_chunk_row, make_tombstone
from tests.serving.index.lake import Item, put, unit
from tests.serving.retrieval.online import forget, put_online, put_row

PUBLIC = Principal("anonymous", frozenset({"public"}))
# Nearer to (1, 0) the lower the number: cosines are 1, 0.9806, 0.8944, 0.7071, 0.4472, 0.1961, 0.
SLOPES = (0, 0.2, 0.5, 1, 2, 5)
ITEMS = [Item(f"{number}.md", f"Text number {number}.", unit(1, slope)) for number, slope in enumerate(SLOPES)]
FAR = Item("far.md", "Text far away.", unit(0, 1))


@pytest.fixture
def ask(settings: Settings) -> Callable[..., Found]:
    put(settings, *ITEMS, FAR)
    put_online(settings, *ITEMS, FAR)
    build.run(settings, "run-1")
    retriever = Retriever(settings, load_embedder(settings), lambda: open_current(settings), OnlineReader(settings))

    def find(k: int, principal: Principal = PUBLIC, deadline_ms: int = 60_000) -> Found:
        return retriever.find(open_current(settings), unit(1, 0), principal, k, Deadline.after_ms(deadline_ms))

    return find


def texts(found: Found) -> list[str | None]:
    return [hit.chunk.text for hit in found.hits]


def dropped(found: Found) -> dict[str, DropReason]:
    return {drop.chunk_id: drop.reason for drop in found.drops}


def test_the_nearest_come_first_with_their_cosines_and_what_is_online_of_them(ask: Callable[..., Found]) -> None:
    found = ask(3)
    assert texts(found) == [item.text for item in ITEMS[:3]]
    assert [hit.rank for hit in found.hits] == [1, 2, 3]
    assert [hit.score for hit in found.hits] == pytest.approx([1, 1 / 1.04**0.5, 1 / 1.25**0.5], abs=1e-6)
    assert found.hits[0].document.title == "Title of 0.md"
    assert found.drops == ()


def test_what_the_gate_drops_is_named_and_replaced_by_the_next(settings: Settings, ask: Callable[..., Found]) -> None:
    forget(settings, CHUNK_METADATA, ITEMS[0].chunk_id)
    put_row(settings, CHUNK_METADATA, make_tombstone(SILVER_CHUNKS, ITEMS[1].chunk_id))
    newer = make_chunk_row(ITEMS[2].text, ITEMS[2].source_uri, text_hash="of a newer text")
    put_row(settings, CHUNK_METADATA, newer)
    write_access_online(settings, [make_access_row("3.md", active=False, acl=None)])
    write_access_online(settings, [make_access_row("4.md", acl=["staff"])])
    found = ask(2)
    assert texts(found) == [ITEMS[5].text, FAR.text]
    assert [hit.rank for hit in found.hits] == [1, 2]
    assert dropped(found) == {
        ITEMS[0].chunk_id: DropReason.ABSENT,
        ITEMS[1].chunk_id: DropReason.INACTIVE,
        ITEMS[2].chunk_id: DropReason.TEXT_CHANGED,
        ITEMS[3].chunk_id: DropReason.DOCUMENT_INACTIVE,
        ITEMS[4].chunk_id: DropReason.FORBIDDEN,
    }


def test_a_document_swept_from_the_online_store_is_absent(settings: Settings, ask: Callable[..., Found]) -> None:
    forget(settings, ACCESS, ITEMS[0].document_id)
    assert dropped(ask(1)) == {ITEMS[0].chunk_id: DropReason.ABSENT}


@pytest.mark.parametrize("acl", [None, [], [""]])
def test_a_null_or_empty_list_lets_nobody_in(
    settings: Settings, ask: Callable[..., Found], acl: list[str] | None
) -> None:
    write_access_online(settings, [make_access_row("0.md", acl=acl)])
    found = ask(1, Principal("odd", frozenset({"", "public"})))
    assert texts(found) == [ITEMS[1].text]
    assert dropped(found) == {ITEMS[0].chunk_id: DropReason.FORBIDDEN}


def test_refilling_ends_when_the_index_is_exhausted(settings: Settings, ask: Callable[..., Found]) -> None:
    everything = [*ITEMS, FAR]
    write_access_online(settings, [make_access_row(item.source_uri, acl=["staff"]) for item in everything])
    nobody = ask(2)
    assert nobody.hits == ()
    assert dropped(nobody) == {item.chunk_id: DropReason.FORBIDDEN for item in everything}
    assert len(ask(50, Principal("ann", frozenset({"staff"}))).hits) == len(everything)


def test_equal_texts_collapse_but_only_behind_one_the_caller_may_read(
    settings: Settings, ask: Callable[..., Found]
) -> None:
    twins = [replace(ITEMS[0], source_uri=f"twin-{number}.md") for number in range(2)]
    put(settings, *twins)
    put_online(settings, *twins)
    build.run(settings, "run-2")
    first, *others = sorted([ITEMS[0], *twins], key=lambda item: item.chunk_id)
    found = ask(2)
    assert [hit.chunk.chunk_id for hit in found.hits] == [first.chunk_id, ITEMS[1].chunk_id]
    assert dropped(found) == {item.chunk_id: DropReason.DUPLICATE for item in others}
    write_access_online(settings, [make_access_row(first.source_uri, acl=["staff"])])
    behind = ask(2)
    assert [hit.chunk.chunk_id for hit in behind.hits] == [others[0].chunk_id, ITEMS[1].chunk_id]
    assert dropped(behind) == {first.chunk_id: DropReason.FORBIDDEN, others[1].chunk_id: DropReason.DUPLICATE}


def test_a_silent_store_and_a_spent_deadline_are_errors_not_empty_answers(
    settings: Settings, ask: Callable[..., Found]
) -> None:
    with pytest.raises(DeadlineExceededError):
        ask(1, deadline_ms=0)
    stop_redis(settings)
    with pytest.raises(RetrievalUnavailableError):
        ask(1)


def test_looking_up_goes_through_the_same_gate(settings: Settings, ask: Callable[..., Found]) -> None:
    retriever = Retriever(settings, load_embedder(settings), lambda: open_current(settings), OnlineReader(settings))
    write_access_online(settings, [make_access_row("1.md", acl=["staff"])])
    found = retriever.look_up([ITEMS[1].chunk_id, ITEMS[0].chunk_id, "0" * 32], PUBLIC)
    assert {name: chunk.text for name, (chunk, _) in found.items()} == {ITEMS[0].chunk_id: ITEMS[0].text}


def test_more_hits_than_one_read_takes_are_gated_in_several(
    settings: Settings, ask: Callable[..., Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.retrieval.retriever._MOST_READ", 2)
    write_access_online(settings, [make_access_row(f"{number}.md", acl=["staff"]) for number in range(5)])
    assert texts(ask(2)) == [ITEMS[5].text, FAR.text]


@pytest.fixture
def asked_by_text(world: Settings) -> Retriever:
    snapshot: IndexSnapshot = open_current(world)
    return Retriever(world, load_embedder(world), lambda: snapshot, OnlineReader(world))


def test_a_question_finds_the_passage_that_answers_it(asked_by_text: Retriever) -> None:
    retrieval = asked_by_text.retrieve("To which degrees was the old kiln at Aldermoor fired?", PUBLIC, 2)
    assert "1240 degrees" in (retrieval.hits[0].chunk.text or "")
    assert retrieval.abstain.answerable
    assert retrieval.abstain.features["cosine"] == retrieval.hits[0].score
    assert set(retrieval.timings_ms) == {"embed", "search", "gate", "abstain"}


def test_what_was_found_and_dropped_is_counted(asked_by_text: Retriever) -> None:
    def forbidden() -> float:
        return REGISTRY.get_sample_value("ragstone_gate_drops_total", {"reason": "forbidden"}) or 0.0

    def observed() -> float:
        return REGISTRY.get_sample_value("retriever_topk_hits_count", {"k": "3"}) or 0.0

    before = forbidden(), observed()
    retrieval = asked_by_text.retrieve("What is the hint for the payroll password?", PUBLIC, 3)
    assert [drop.reason for drop in retrieval.drops] == [DropReason.FORBIDDEN]
    assert (forbidden(), observed()) == (before[0] + 1, before[1] + 1)


def test_a_question_is_normalised_as_documents_are(asked_by_text: Retriever) -> None:
    plain, disguised = (
        asked_by_text.retrieve(question, PUBLIC, 1)
        for question in ("When does the ferry leave?", "When\u00a0does the fer\u200bry leave?")
    )
    assert plain.hits[0].score == disguised.hits[0].score
    assert plain.abstain == disguised.abstain
