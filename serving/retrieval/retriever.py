"""Retrieval: embed the question, search the index, gate every hit online, refill what the gate dropped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from ragstone.contracts.records import Principal
from ragstone.embedding.port import Embedder
from ragstone.features.online import ChunkFeatures, DocumentFeatures, FeatureReader
from ragstone.runtime.metrics import GATE_DROPS, RETRIEVAL_EMPTY, RETRIEVER_TOPK_HITS
from ragstone.runtime.settings import Settings
from ragstone.runtime.tracing import span
from ragstone.text.normalise import normalise
from serving.deadline import Deadline
from serving.index.snapshot import IndexHit, IndexRow, IndexSnapshot
from serving.retrieval.abstain import decide
from serving.retrieval.gate import judge, judge_repeat
from serving.retrieval.results import GateDrop, Retrieval, RetrievedChunk
from serving.served_state import served_state

__all__ = ["Found", "GateDrop", "Retrieval", "RetrievedChunk", "Retriever"]

# Asking for two fifths more than k at first is cheaper than a second round trip for what the gate drops.
_FIRST_FETCH: Final = 1.4
_NEXT_FETCH: Final = 4
# One read must end within the online store's deadline.
_MOST_READ: Final = 512
_WHERE: Final = "retrieval"


@dataclass(frozen=True)
class Found:
    """The retrieval stage alone: hits by rank, drops as they were met, and the seconds of its two halves."""

    hits: tuple[RetrievedChunk, ...]
    drops: tuple[GateDrop, ...]
    search_s: float
    gate_s: float


@dataclass
class _Round:
    """Where one question stands while its hits are gated, round by round."""

    wanted: int
    seen: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    passed: list[tuple[IndexHit, ChunkFeatures, DocumentFeatures]] = field(default_factory=list)
    drops: list[GateDrop] = field(default_factory=list)
    search_s: float = 0.0
    gate_s: float = 0.0


class Retriever:
    """Answers questions with passages. `index` returns the snapshot to search now; safe for many threads at once."""

    def __init__(
        self, settings: Settings, embedder: Embedder, index: Callable[[], IndexSnapshot], reader: FeatureReader
    ) -> None:
        self._settings = settings
        self._embedder = embedder
        self._index = index
        self._reader = reader

    def retrieve(self, question: str, principal: Principal, k: int, deadline_ms: int | None = None) -> Retrieval:
        """Return at most k passages that the caller may read now, best first, and whether they can answer.

        `deadline_ms` defaults to `serving.deadline_ms`. Raises RetrievalUnavailableError when the online store does not
        answer, and DeadlineExceededError.
        """
        deadline = Deadline.after_ms(deadline_ms or self._settings.serving.deadline_ms)
        snapshot = self._index()
        began = time.perf_counter()
        vector = self.embed(question)
        embedded = time.perf_counter()
        with span("retrieve.find", k=k):
            found = self.find(snapshot, vector, principal, k, deadline)
        found_at = time.perf_counter()
        decision = decide(normalise(question), found.hits, snapshot.idf, snapshot.manifest.abstain)
        timings_s = {
            "embed": embedded - began,
            "search": found.search_s,
            "gate": found.gate_s,
            "abstain": time.perf_counter() - found_at,
        }
        _count(found, k)
        return Retrieval(
            question=question,
            hits=found.hits,
            drops=found.drops,
            abstain=decision,
            index_version=snapshot.manifest.version,
            encoder_hash=snapshot.manifest.encoder_hash,
            state=served_state(snapshot.manifest, k),
            timings_ms={stage: round(seconds * 1_000, 3) for stage, seconds in timings_s.items()},
        )

    def embed(self, question: str) -> npt.NDArray[np.float32]:
        """Return the vector of a question, float32 (dim,), made as the vectors of chunks are."""
        with span("retrieve.embed"):
            vectors = self._embedder.encode_questions([normalise(question)])
        vector: npt.NDArray[np.float32] = vectors[0]
        return vector

    def find(
        self, snapshot: IndexSnapshot, vector: npt.NDArray[np.float32], principal: Principal, k: int, deadline: Deadline
    ) -> Found:
        """Return at most k gated hits for a question's vector, float32 (dim,): scores fall, ties by chunk_id.

        Hits that the gate drops are replaced by the next ones, until k have passed or the index is exhausted.
        """
        state, fetch = _Round(wanted=k), math.ceil(k * _FIRST_FETCH)
        while True:
            began = time.perf_counter()
            hits = [hit for hit in snapshot.search(vector, fetch) if hit.chunk_id not in state.seen]
            searched = time.perf_counter()
            self._gate(hits, principal, state, deadline)
            state.search_s += searched - began
            state.gate_s += time.perf_counter() - searched
            if len(state.passed) == k or fetch >= snapshot.manifest.count:
                break
            fetch *= _NEXT_FETCH
        # A deeper quantised search can bring a better hit than an earlier, shallower one had.
        ordered = sorted(state.passed, key=lambda passed: (-passed[0].score, passed[0].chunk_id))
        ranked = tuple(
            RetrievedChunk(rank, hit.score, chunk, document) for rank, (hit, chunk, document) in enumerate(ordered, 1)
        )
        return Found(ranked, tuple(state.drops), state.search_s, state.gate_s)

    def look_up(
        self, chunk_ids: Sequence[str], principal: Principal
    ) -> dict[str, tuple[ChunkFeatures, DocumentFeatures]]:
        """Return the chunks of these ids that are in the index and pass the gate now, by id; others are left out.

        Raises RetrievalUnavailableError when the online store does not answer.
        """
        hits = self._index().rows_of(chunk_ids)
        chunks, documents = self._read(hits)
        return {
            hit.chunk_id: (chunk, document)
            for hit, chunk in zip(hits, chunks, strict=True)
            if (document := documents[hit.document_id]) is not None
            and chunk is not None
            and judge(hit.text_hash, chunk, document, principal) is None
        }

    def _gate(self, hits: Sequence[IndexHit], principal: Principal, state: _Round, deadline: Deadline) -> None:
        for start in range(0, len(hits), _MOST_READ):
            if len(state.passed) == state.wanted:
                return
            deadline.remaining_ms(_WHERE)
            self._gate_some(hits[start : start + _MOST_READ], principal, state)

    def _gate_some(self, hits: Sequence[IndexHit], principal: Principal, state: _Round) -> None:
        chunks, documents = self._read(hits)
        for hit, chunk in zip(hits, chunks, strict=True):
            if len(state.passed) == state.wanted:
                return
            state.seen.add(hit.chunk_id)
            document = documents[hit.document_id]
            reason = judge(hit.text_hash, chunk, document, principal) or judge_repeat(hit.text_hash, state.texts)
            if reason is not None:
                state.drops.append(GateDrop(hit.chunk_id, hit.document_id, hit.score, reason))
            elif chunk is not None and document is not None:
                state.texts.add(hit.text_hash)
                state.passed.append((hit, chunk, document))

    def _read(self, hits: Sequence[IndexRow]) -> tuple[list[ChunkFeatures | None], dict[str, DocumentFeatures | None]]:
        document_ids = list(dict.fromkeys(hit.document_id for hit in hits))
        chunks, documents = self._reader.read([hit.chunk_id for hit in hits], document_ids)
        return chunks, dict(zip(document_ids, documents, strict=True))


def _count(found: Found, k: int) -> None:
    RETRIEVER_TOPK_HITS.labels(str(k)).observe(len(found.hits))
    for drop in found.drops:
        GATE_DROPS.labels(drop.reason.value).inc()
    if not found.hits:
        RETRIEVAL_EMPTY.inc()
