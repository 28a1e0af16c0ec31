"""Answers of a past day: from its corpus, under its access lists, with its prompt.

Nothing of it is recorded as asked: events tell what was served, and this was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ragstone.contracts.records import Citation, Principal
from ragstone.contracts.state import AsOf
from ragstone.embedding.port import Embedder
from ragstone.features.past import PastFeatures
from ragstone.runtime.errors import BadInputError, GenerationError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from serving.cpu_pool import CpuPool
from serving.deadline import Deadline
from serving.generation.citations import Draft
from serving.generation.extractive import EXTRACTIVE_HASH, extract
from serving.generation.generative import Generator
from serving.generation.prompt import DONT_KNOW, Prompt
from serving.generation.prompt_history import prompt_of
from serving.index.snapshot import IndexSnapshot
from serving.past.indexes import PastIndexes
from serving.retrieval.retriever import Retrieval, Retriever

_WHERE: Final = "as_of"
_log = get_logger(__name__)


@dataclass(frozen=True)
class PastQuestion:
    """What is asked of a past day, and by whom: the groups of `principal` under the access lists of that day."""

    text: str
    principal: Principal
    as_of: datetime
    deadline: Deadline


@dataclass(frozen=True)
class PastAnswer:
    """What a past day's corpus answers. `degraded_reason` says why its language model had no part in it."""

    answer: str
    as_of: datetime
    citations: tuple[Citation, ...]
    abstained: bool
    degraded_reason: str | None
    prompt_hash: str
    index_version: str
    timings_ms: Mapping[str, float]


@dataclass(frozen=True)
class PastAnswerer:
    """Answers from past days. `generator` makes one of a prompt; None where no language model is configured."""

    settings: Settings
    embedder: Embedder
    indexes: PastIndexes
    pool: CpuPool
    generator: Callable[[Prompt], Generator] | None

    async def answer(self, question: PastQuestion) -> PastAnswer:
        """Return the answer of a past day. Raises BadInputError for a time to come, and DeadlineExceededError."""
        check_past(question.as_of)
        retrieval, snapshot = await self.pool.run(self._find, question)
        prompt = await self.pool.run(prompt_of, self.settings.lake_root, question.as_of)
        draft, prompt_hash, degraded = await self._drafted(question, retrieval, snapshot, prompt)
        _log.info(
            "past_question_answered",
            principal=question.principal.name,
            as_of=question.as_of.isoformat(),
            hits=_ids(retrieval),
        )
        return PastAnswer(
            answer=DONT_KNOW if draft is None else draft.text,
            as_of=question.as_of,
            citations=() if draft is None else draft.citations,
            abstained=draft is None,
            degraded_reason=degraded,
            prompt_hash=prompt_hash,
            index_version=retrieval.index_version,
            timings_ms=retrieval.timings_ms,
        )

    def retrieve(self, question: PastQuestion, k: int) -> Retrieval:
        """Return what the corpus of that day holds for the question. Raises as `answer` does."""
        check_past(question.as_of)
        return self._retrieved(question, k)[0]

    def _find(self, question: PastQuestion) -> tuple[Retrieval, IndexSnapshot]:
        return self._retrieved(question, self.settings.serving.top_k)

    def _retrieved(self, question: PastQuestion, k: int) -> tuple[Retrieval, IndexSnapshot]:
        bounds = AsOf(known_by=question.as_of)
        snapshot = self.indexes.snapshot(bounds)
        reader = PastFeatures(self.settings.lake_root).reader(materialized=bounds, access=bounds)
        retriever = Retriever(self.settings, self.embedder, lambda: snapshot, reader)
        left_ms = question.deadline.remaining_ms(_WHERE)
        return retriever.retrieve(question.text, question.principal, k, left_ms), snapshot

    async def _drafted(
        self, question: PastQuestion, retrieval: Retrieval, snapshot: IndexSnapshot, prompt: Prompt | None
    ) -> tuple[Draft | None, str, str | None]:
        """Return the draft (None: nothing answers it), the hash of what made it, and why that was no model."""
        if not (retrieval.abstain.answerable and retrieval.hits):
            return None, EXTRACTIVE_HASH, None
        extracted = extract(question.text, retrieval.hits, snapshot.idf)
        if prompt is None or self.generator is None:
            reason = None if prompt is None else "no language model is configured now"
            return extracted, EXTRACTIVE_HASH, reason
        generator = self.generator(prompt)
        left_s = question.deadline.remaining_ms(_WHERE) / 1_000
        try:
            draft = await generator.generate(question.text, retrieval.hits, snapshot.idf, (), left_s)
        except GenerationError as failure:
            _log.warning("answered_without_model", what=failure.what, **failure.facts())
            return extracted, EXTRACTIVE_HASH, failure.what
        return draft, generator.prompt_hash, None


def check_past(as_of: datetime) -> None:
    """Raise BadInputError for a time without a zone, and for one that has not come yet."""
    if as_of.tzinfo is None or as_of > datetime.now(UTC):
        raise BadInputError(
            "this is no moment of the past",
            where=_WHERE,
            got=as_of.isoformat(),
            wanted="a time with its zone that has come already, such as 2026-01-31T08:00:00Z",
        )


def _ids(retrieval: Retrieval) -> list[str]:
    return [hit.chunk.chunk_id for hit in retrieval.hits]
