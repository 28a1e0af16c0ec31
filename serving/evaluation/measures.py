"""Measures of a ranking against judgements, as BEIR reports them. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def ndcg(ranked: Sequence[str], judged: Mapping[str, int], k: int) -> float:
    """Return the normalised discounted cumulative gain of the first k; a document's gain is its grade."""
    gained = _discounted([judged.get(document, 0) for document in ranked[:k]])
    ideal = _discounted(sorted(judged.values(), reverse=True)[:k])
    return gained / ideal if ideal else 0.0


def reciprocal_rank(ranked: Sequence[str], judged: Mapping[str, int], k: int) -> float:
    """Return 1 / rank of the first judged document among the first k, or 0."""
    return next((1 / rank for rank, document in enumerate(ranked[:k], 1) if judged.get(document, 0)), 0.0)


def recall(ranked: Sequence[str], judged: Mapping[str, int], k: int) -> float:
    """Return the share of the judged documents that are among the first k."""
    return len(set(ranked[:k]) & set(judged)) / len(judged) if judged else 0.0


def _discounted(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
