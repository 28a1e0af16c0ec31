"""What retrieval gives back. Scores are cosines of question and chunk: higher is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ragstone.features.online import ChunkFeatures, DocumentFeatures
from serving.retrieval.gate import DropReason
from serving.served_state import ServedState


@dataclass(frozen=True, slots=True)
class RetrievedChunk:
    """A hit that passed the gate, with what the online store held of it then. `rank` counts from 1."""

    rank: int
    score: float
    chunk: ChunkFeatures
    document: DocumentFeatures


@dataclass(frozen=True, slots=True)
class GateDrop:
    """A hit that the gate dropped, and why. For operators: it names what the caller may not know of."""

    chunk_id: str
    document_id: str
    score: float
    reason: DropReason


@dataclass(frozen=True)
class AbstainDecision:
    """Whether the hits can answer the question: `probability` against `threshold`, and the features it came from."""

    answerable: bool
    probability: float
    threshold: float
    features: Mapping[str, float]


@dataclass(frozen=True)
class Retrieval:
    """What one question found: hits by rank, drops in the order they were met, the decision to answer at all.

    `state` is what a replay starts from. `timings_ms` names the stages embed, search, gate and abstain.
    """

    question: str
    hits: tuple[RetrievedChunk, ...]
    drops: tuple[GateDrop, ...]
    abstain: AbstainDecision
    index_version: str
    encoder_hash: str
    state: ServedState
    timings_ms: Mapping[str, float]
