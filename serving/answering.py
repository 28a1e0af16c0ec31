"""From a question to a recorded answer: retrieve, abstain or answer, cite, record.

An answer is recorded before it is given: whoever holds one can ask where it comes from.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Final

import redis

from ragstone.contracts.records import Citation, Principal
from ragstone.features.marker import Marker
from ragstone.features.online import OnlineReader
from ragstone.runtime.errors import GenerationError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.metrics import ANSWERS, FALLBACK, STAGE_DURATION_SECONDS
from ragstone.runtime.settings import Settings
from serving.cpu_pool import CpuPool
from serving.deadline import Deadline
from serving.events import RetrievalEvent, RetrievalLog
from serving.generation.citations import Draft
from serving.generation.extractive import EXTRACTIVE_HASH, extract
from serving.generation.generative import Generator
from serving.generation.prompt import DONT_KNOW
from serving.index.follower import IndexFollower
from serving.redis_calls import told_as_unavailable
from serving.retrieval.ranking import Idf
from serving.retrieval.retriever import Retrieval, Retriever
from serving.sessions.store import SessionStore, Turn

OFFLINE_TEXT: Final = (
    "The language model cannot be reached, and no passage answers this in its own words. Ask again later."
)
_WHERE: Final = "POST /chat"
_log = get_logger(__name__)


@dataclass(frozen=True)
class Question:
    """What is asked, by whom, in which conversation; `session_id` None begins a new one."""

    text: str
    principal: Principal
    session_id: str | None
    deadline: Deadline


@dataclass(frozen=True)
class Answer:
    """What is given back. `degraded` when the language model should have had a part in it and had none.

    `turn` counts the questions of the conversation from 1. `timings_ms` names each stage, and `total`.
    """

    answer: str
    session_id: str
    answer_id: str
    turn: int
    citations: tuple[Citation, ...]
    abstained: bool
    degraded: bool
    degraded_reason: str | None
    index_version: str
    timings_ms: Mapping[str, float]


@dataclass(frozen=True)
class _Found:
    """What the first half of the work gives: the conversation so far, the retrieval, and the extractive answer."""

    asked_at: datetime
    session_id: str
    earlier: tuple[Turn, ...]
    retrieval: Retrieval
    extracted: Draft | None
    idf: Idf
    online: Marker


@dataclass(frozen=True)
class _Outcome:
    """What is said, before it is recorded."""

    draft: Draft
    abstained: bool
    prompt_hash: str
    degraded_reason: str | None = None


class Stopwatch:
    """Names the time since the last lap, in milliseconds, and observes it as a stage."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self.laps_ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        """End a stage now."""
        now = time.perf_counter()
        STAGE_DURATION_SECONDS.labels(stage).observe(now - self._last)
        self.laps_ms[stage] = round((now - self._last) * 1_000, 3)
        self._last = now

    def total_ms(self) -> float:
        """Return the time since the watch was started."""
        return round((time.perf_counter() - self._began) * 1_000, 3)


@dataclass(frozen=True)
class Answerer:
    """Answers questions. Without a `generator` every answer is extractive, and that is no degradation."""

    settings: Settings
    retriever: Retriever
    index: IndexFollower
    reader: OnlineReader
    client: redis.Redis
    sessions: SessionStore
    log: RetrievalLog
    pool: CpuPool
    generator: Generator | None

    async def answer(self, question: Question) -> Answer:
        """Return the answer to a question, recorded in the conversation and in the retrieval log.

        Raises RetrievalUnavailableError when the index or the online store cannot be asked, and DeadlineExceededError.
        """
        watch = Stopwatch()
        found, answer = await self.pool.run(self._begin, question, watch)
        if answer is None:
            outcome = await self._generated(question, found)
            watch.lap("generate")
            answer = await self.pool.run(self._finish, question, found, outcome, watch)
        return answer

    def _begin(self, question: Question, watch: Stopwatch) -> tuple[_Found, Answer | None]:
        """Return what is found and, where no model is needed, the answer: threads are changed once, not twice."""
        found = self._find(question, watch)
        settled = self._settled(found)
        return found, None if settled is None else self._finish(question, found, settled, watch)

    def _find(self, question: Question, watch: Stopwatch) -> _Found:
        asked_at = datetime.now(UTC)
        session_id = question.session_id or secrets.token_hex(16)
        with told_as_unavailable("the conversation cannot be read"):
            earlier = self.sessions.turns(question.principal, session_id) if question.session_id else ()
        online = self.reader.marker()
        watch.lap("session")
        retrieval = self.retriever.retrieve(
            question.text,
            question.principal,
            self.settings.serving.top_k,
            question.deadline.remaining_ms(_WHERE),
        )
        watch.lap("retrieve")
        answerable = retrieval.abstain.answerable and bool(retrieval.hits)
        idf = self.index.current().idf
        extracted = extract(question.text, retrieval.hits, idf) if answerable else None
        watch.lap("extract")
        return _Found(asked_at, session_id, earlier, retrieval, extracted, idf, online)

    def _settled(self, found: _Found) -> _Outcome | None:
        """Return the outcome that needs no model, or None where the model has to be asked."""
        if not (found.retrieval.abstain.answerable and found.retrieval.hits):
            return _abstention(EXTRACTIVE_HASH)
        if self.generator is None:
            return _extractive(found.extracted) or _abstention(EXTRACTIVE_HASH)
        return None

    async def _generated(self, question: Question, found: _Found) -> _Outcome:
        assert self.generator is not None
        try:
            draft = await self.generator.generate(
                question.text,
                found.retrieval.hits,
                found.idf,
                [turn.question for turn in found.earlier],
                self._generation_s(question.deadline),
            )
        except GenerationError as failure:
            _log.warning("answered_without_model", what=failure.what, **failure.facts())
            FALLBACK.labels(failure.reason).inc()
            offline = _Outcome(Draft(OFFLINE_TEXT, ()), abstained=True, prompt_hash=EXTRACTIVE_HASH)
            return replace(_extractive(found.extracted) or offline, degraded_reason=failure.what)
        if draft is None:
            return _abstention(self.generator.prompt_hash)
        return _Outcome(draft, abstained=False, prompt_hash=self.generator.prompt_hash)

    def _generation_s(self, deadline: Deadline) -> float:
        """Return how long the model may take: what is left, less the time to record the answer in."""
        return (deadline.remaining_ms(_WHERE) - self.settings.redis.deadline_ms) / 1_000

    def _finish(self, question: Question, found: _Found, outcome: _Outcome, watch: Stopwatch) -> Answer:
        """Record an outcome, and return it as the answer."""
        answer = Answer(
            answer=outcome.draft.text,
            session_id=found.session_id,
            answer_id=secrets.token_hex(16),
            turn=found.earlier[-1].number + 1 if found.earlier else 1,
            citations=outcome.draft.citations,
            abstained=outcome.abstained,
            degraded=outcome.degraded_reason is not None,
            degraded_reason=outcome.degraded_reason,
            index_version=found.retrieval.index_version,
            timings_ms={},
        )
        self._record(question, found, outcome, answer)
        watch.lap("record")
        _tell(answer, found.retrieval)
        return replace(answer, timings_ms={**found.retrieval.timings_ms, **watch.laps_ms, "total": watch.total_ms()})

    def _record(self, question: Question, found: _Found, outcome: _Outcome, answer: Answer) -> None:
        event = RetrievalEvent(
            answer_id=answer.answer_id,
            session_id=answer.session_id,
            principal=question.principal.name,
            principal_groups=tuple(sorted(question.principal.groups)),
            question=question.text,
            answer=answer.answer,
            abstained=answer.abstained,
            citations=json.dumps([asdict(citation) for citation in answer.citations]),
            hits=json.dumps(_decisions(found.retrieval)),
            index_version=found.retrieval.index_version,
            online_watermark=json.dumps(found.online.table_versions()),
            prompt_hash=outcome.prompt_hash,
            settings_hash=self.settings.answer_hash(),
            encoder_hash=found.retrieval.encoder_hash,
            served_state=found.retrieval.state.with_online(found.online.filled_at()).model_dump_json(),
            event_timestamp=found.asked_at,
            created_timestamp=datetime.now(UTC),
        )
        turn = Turn(answer.turn, question.text, answer.answer, answer.answer_id, found.asked_at)
        with told_as_unavailable("the answer cannot be recorded"), self.client.pipeline(transaction=True) as commands:
            self.log.append(commands, event)
            self.sessions.append(commands, question.principal, answer.session_id, turn)
            commands.execute()


def _extractive(draft: Draft | None) -> _Outcome | None:
    return None if draft is None else _Outcome(draft, abstained=False, prompt_hash=EXTRACTIVE_HASH)


def _abstention(prompt_hash: str) -> _Outcome:
    return _Outcome(Draft(DONT_KNOW, ()), abstained=True, prompt_hash=prompt_hash)


def _decisions(retrieval: Retrieval) -> list[dict[str, object]]:
    """Return what the gate decided of every hit: those that passed with their rank, those dropped with the reason."""
    passed: list[dict[str, object]] = [
        {**_shown(hit.chunk.chunk_id, hit.document.document_id, hit.score), "rank": hit.rank, "gate": "passed"}
        for hit in retrieval.hits
    ]
    dropped = [
        {**_shown(drop.chunk_id, drop.document_id, drop.score), "gate": str(drop.reason)} for drop in retrieval.drops
    ]
    return [*passed, *dropped]


def _shown(chunk_id: str, document_id: str, score: float) -> dict[str, object]:
    return {"chunk_id": chunk_id, "document_id": document_id, "score": score}


def _tell(answer: Answer, retrieval: Retrieval) -> None:
    outcome = "degraded" if answer.degraded else "abstained" if answer.abstained else "answered"
    ANSWERS.labels(outcome).inc()
    _log.info(
        "question_answered",
        answer_id=answer.answer_id,
        outcome=outcome,
        retrieved=[hit.chunk.chunk_id for hit in retrieval.hits],
        index_version=answer.index_version,
    )
