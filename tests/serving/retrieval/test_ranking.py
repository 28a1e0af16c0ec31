from __future__ import annotations

from dataclasses import replace

import pytest

from serving.retrieval.ranking import coverage, question_weights, rank_sentences
from serving.retrieval.results import RetrievedChunk
from tests.serving.retrieval.test_gate import CHUNK, DOCUMENT

IDF = {"how": 1.0, "tall": 3.0, "is": 0.5, "the": 0.5, "tower": 3.0}


def idf(word: str) -> float:
    return IDF.get(word, 5.0)


def hit(text: str, rank: int = 1, score: float = 0.5) -> RetrievedChunk:
    return RetrievedChunk(rank, score, replace(CHUNK, text=text), DOCUMENT)


def test_sentences_are_ranked_by_the_weight_they_cover_and_a_part_of_the_cosine() -> None:
    first = hit("The tower is old. It is tall. Nobody came.", 1, score=0.9)
    second = hit("How tall is the tower? 40 metres.", 2, score=0.4)
    ranked = rank_sentences("How tall is the tower?", [first, second], idf)
    quoted = [sentence.hit.chunk.text[sentence.start : sentence.end] for sentence in ranked]  # type: ignore[index]
    assert quoted == ["How tall is the tower?", "The tower is old.", "It is tall."]
    assert [sentence.coverage for sentence in ranked] == pytest.approx([1, 4 / 8, 3.5 / 8])
    assert [sentence.score for sentence in ranked] == pytest.approx([1.12, 0.77, 0.7075])


def test_longer_sentences_are_not_held_back() -> None:
    long = hit("The tower, as everybody in the valley below has known for many a year, is tall.", 2)
    short = hit("The tower.", 1)
    assert rank_sentences("Is the tower tall?", [short, long], idf)[0].hit is long


def test_equal_scores_keep_the_reading_order() -> None:
    hits = [hit("A tower. A tower.", 1), hit("A tower.", 2)]
    ranked = rank_sentences("tower", hits, idf)
    assert [(sentence.hit.rank, sentence.start) for sentence in ranked] == [(1, 0), (1, 9), (2, 0)]


def test_a_word_counts_once_however_often_it_is_asked_or_found() -> None:
    weights = question_weights("tower tower tall", idf)
    assert weights == {"tower": 3.0, "tall": 3.0}
    assert coverage(weights, ["tower", "ferry"]) == 0.5


def test_without_a_shared_word_or_without_a_word_nothing_is_ranked() -> None:
    assert rank_sentences("ferry", [hit("A tower.")], idf) == []
    assert rank_sentences("?!", [hit("A tower.")], idf) == []
    assert coverage({}, ["tower"]) == 0.0
