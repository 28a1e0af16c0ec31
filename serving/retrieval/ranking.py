"""Which sentences of the retrieved chunks answer a question: ranked by the words they share, no encoder involved.

The score of a sentence is the share of the question's weight that its words cover, plus a part of its chunk's cosine.
Longer sentences are not held back: answers tend to stand in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ragstone.text.sentences import sentence_spans
from ragstone.text.words import words
from serving.retrieval.results import RetrievedChunk

COSINE_SHARE: Final = 0.3
# Chunks are asked for again within one request, and popular ones by many requests.
_REMEMBERED_TEXTS: Final = 1_024

Idf = Callable[[str], float]


@dataclass(frozen=True, slots=True)
class RankedSentence:
    """A sentence of a hit: [start, end) in the chunk's text, in code points. `coverage` is within [0, 1]."""

    hit: RetrievedChunk
    start: int
    end: int
    coverage: float
    score: float


@dataclass(frozen=True, slots=True)
class _Sentence:
    start: int
    end: int
    words: frozenset[str]


def rank_sentences(question: str, hits: Sequence[RetrievedChunk], idf: Idf) -> list[RankedSentence]:
    """Return the sentences of the hits that share a word with the question, best first; ties in reading order.

    `idf` gives the weight of a word in the index that was searched.
    """
    weights = question_weights(question, idf)
    ranked = [
        RankedSentence(hit, sentence.start, sentence.end, share, share + COSINE_SHARE * hit.score)
        for hit in hits
        for sentence in _sentences(hit.chunk.text or "")
        if (share := coverage(weights, sentence.words)) > 0
    ]
    return sorted(ranked, key=lambda sentence: (-sentence.score, sentence.hit.rank, sentence.start))


def question_weights(question: str, idf: Idf) -> dict[str, float]:
    """Return the distinct words of a question with their weights."""
    return {word: idf(word) for word in dict.fromkeys(words(question))}


def coverage(weights: Mapping[str, float], found: Iterable[str]) -> float:
    """Return the share of the question's weight that the words found carry, within [0, 1]; 0 without any weight."""
    total = sum(weights.values())
    return sum(weights.get(word, 0.0) for word in found) / total if total > 0 else 0.0


def chunk_words(hit: RetrievedChunk) -> frozenset[str]:
    """Return the distinct words of a hit's chunk."""
    return frozenset().union(*(sentence.words for sentence in _sentences(hit.chunk.text or "")))


def forget_sentences() -> None:
    """Let go of every text whose sentences are remembered, such as when a document was purged."""
    _sentences.cache_clear()


@lru_cache(maxsize=_REMEMBERED_TEXTS)
def _sentences(text: str) -> tuple[_Sentence, ...]:
    return tuple(_Sentence(start, end, frozenset(words(text[start:end]))) for start, end in sentence_spans(text))
