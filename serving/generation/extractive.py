"""The extractive answer: the one or two best sentences of the retrieved chunks, quoted and cited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ragstone.contracts.identity import stable_hash
from serving.generation.citations import Draft, cite, passage_text
from serving.retrieval.ranking import Idf, RankedSentence, rank_sentences
from serving.retrieval.retriever import RetrievedChunk

EXTRACTIVE_HASH: Final = stable_hash("extractive", 1)
_MOST_SENTENCES: Final = 2
# Measured on XQuAD: a second sentence below this share of the best one's score never was the answer.
_LEAST_SHARE: Final = 0.5


def extract(question: str, hits: Sequence[RetrievedChunk], idf: Idf) -> Draft | None:
    """Return the best sentences of the hits as an answer, best first; None when none shares a word with the question.

    `idf` gives the weight of a word in the index that was searched. A sentence that overlapping chunks share is quoted
    once.
    """
    ranked = _distinct(rank_sentences(question, hits, idf))
    if not ranked:
        return None
    chosen = [sentence for sentence in ranked[:_MOST_SENTENCES] if sentence.score >= _LEAST_SHARE * ranked[0].score]
    citations = tuple(
        cite(marker, sentence.hit, sentence.start, sentence.end) for marker, sentence in enumerate(chosen, 1)
    )
    text = " ".join(f"“{_one_line(citation.quote)}” [{citation.marker}]" for citation in citations)
    return Draft(text, citations)


def _distinct(ranked: Sequence[RankedSentence]) -> list[RankedSentence]:
    seen: set[str] = set()
    distinct = []
    for sentence in ranked:
        text = _one_line(passage_text(sentence.hit)[sentence.start : sentence.end])
        if text and text not in seen:
            seen.add(text)
            distinct.append(sentence)
    return distinct


def _one_line(text: str) -> str:
    return " ".join(text.split())
