"""Whether the retrieved chunks can answer a question: a logistic model of three features, fitted on judged questions.

A cosine alone does not tell, because text about the right subject is near the question even when the answer is not in
it. How much of the question's weight the best chunk and the best sentence cover tells most of the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from ragstone.runtime.settings import AbstainSettings
from serving.retrieval.ranking import Idf, chunk_words, coverage, question_weights, rank_sentences
from serving.retrieval.results import AbstainDecision, RetrievedChunk

FEATURES: Final = ("cosine", "chunk_coverage", "sentence_coverage")


def decide(question: str, hits: Sequence[RetrievedChunk], idf: Idf, model: AbstainSettings) -> AbstainDecision:
    """Return whether to answer. Without a hit there is nothing to answer from, whatever the model says."""
    features = abstain_features(question, hits, idf)
    probability = answer_probability(features, model) if hits else 0.0
    answerable = bool(hits) and probability >= model.threshold
    return AbstainDecision(answerable, probability, model.threshold, features)


def abstain_features(question: str, hits: Sequence[RetrievedChunk], idf: Idf) -> dict[str, float]:
    """Return the features by name: the best cosine, and the best coverage by a chunk and by a sentence."""
    weights = question_weights(question, idf)
    sentences = rank_sentences(question, hits, idf)
    return {
        "cosine": max((hit.score for hit in hits), default=0.0),
        "chunk_coverage": max((coverage(weights, chunk_words(hit)) for hit in hits), default=0.0),
        "sentence_coverage": max((sentence.coverage for sentence in sentences), default=0.0),
    }


def answer_probability(features: Mapping[str, float], model: AbstainSettings) -> float:
    """Return the probability that there is an answer: the logistic function of the weighted features."""
    logit = model.intercept + sum(weight * features[name] for name, weight in model.coefficients.items())
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
