"""What other settings would have answered: each question under two ways, both on the corpus of its own day."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import fmean, median
from typing import Final

from ragstone.contracts.state import AsOf
from ragstone.embedding.load import in_space, load_embedder
from ragstone.features.past import PastFeatures
from ragstone.lake.history import EventTimes
from ragstone.lake.vectors import index_tables
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings
from serving.evaluation.measures import recall
from serving.generation.extractive import extract
from serving.generation.generative import Generator
from serving.generation.prompt import DONT_KNOW
from serving.index.snapshot import IndexSnapshot
from serving.past.asked import AskedQuestion
from serving.past.indexes import read_past
from serving.retrieval.retriever import Retriever

_DEADLINE_MS: Final = 3_600_000


@dataclass(frozen=True)
class Outcome:
    """What one way made of a question: the chunks by rank, the answer, and its milliseconds without the gate's.

    The gate reads the lake here, so what it takes says nothing of a service, whose gate reads the online store.
    """

    chunk_ids: tuple[str, ...]
    answer: str
    latency_ms: float


@dataclass(frozen=True)
class Compared:
    """A question under both ways. `recall` is the share of its judged chunks that each found; None without any."""

    question: str
    asked_at: datetime
    before: Outcome
    after: Outcome
    recall: tuple[float, float] | None

    @property
    def answer_changed(self) -> bool:
        """Return whether the answers differ in any letter."""
        return self.before.answer != self.after.answer

    @property
    def hits_changed(self) -> bool:
        """Return whether other chunks were found, or in another order."""
        return self.before.chunk_ids != self.after.chunk_ids


@dataclass(frozen=True)
class Summary:
    """Counts and means over all questions; pairs are before and after. Recall is over the `judged` ones."""

    questions: int
    answers_changed: int
    hits_changed: int
    judged: int
    recall: tuple[float, float] | None
    latency_ms: tuple[float, float]


@dataclass
class Way:
    """One way of answering: settings that name k, space and encoder, and a model with its prompt, if there is one."""

    settings: Settings
    generator: Generator | None = None
    _day: datetime | None = field(default=None, init=False)
    _snapshot: IndexSnapshot | None = field(default=None, init=False)

    async def outcome(self, question: AskedQuestion, day: datetime, features: PastFeatures) -> Outcome:
        """Return what this way makes of a question on the corpus of `day`; one day's corpus is kept at a time."""
        if self._snapshot is None or self._day != day:
            self._day, self._snapshot = day, read_past(self.settings, AsOf(known_by=day))
        snapshot, bounds = self._snapshot, AsOf(known_by=question.asked_at)
        retriever = Retriever(
            self.settings, load_embedder(self.settings), lambda: snapshot, features.reader(bounds, bounds)
        )
        found = retriever.retrieve(question.text, question.principal, self.settings.serving.top_k, _DEADLINE_MS)
        began = time.perf_counter()
        answer = DONT_KNOW
        if found.abstain.answerable and found.hits:
            draft = extract(question.text, found.hits, snapshot.idf)
            if self.generator is not None:
                draft = await self.generator.generate(
                    question.text, found.hits, snapshot.idf, (), self.settings.llm.timeout_s
                )
            answer = DONT_KNOW if draft is None else draft.text
        spent_ms = (time.perf_counter() - began) * 1_000 + found.timings_ms["embed"] + found.timings_ms["search"]
        return Outcome(tuple(hit.chunk.chunk_id for hit in found.hits), answer, spent_ms)


def varied(settings: Settings, space: str | None, k: int | None) -> Settings:
    """Return settings with another embedding space or another number of hits; None leaves either as it is."""
    serving = settings.serving.model_copy(update={"top_k": k or settings.serving.top_k})
    return in_space(settings, space or settings.embedding.space).model_copy(update={"serving": serving})


async def backtest(questions: Sequence[AskedQuestion], before: Way, after: Way) -> AsyncIterator[Compared]:
    """Yield each question under both ways, oldest first: a change of corpus costs reading it anew.

    Raises UsageError without a question, IndexGateError when a space has vectors of another encoder than its settings
    name, and GenerationError when the language model fails: answers of two kinds cannot be compared.
    """
    if not questions:
        raise UsageError(
            "there is no question to ask",
            wanted="questions logged in that time, or a file that has some",
            next_step="ragstone events drain, when questions were asked since the last one",
        )
    root = before.settings.lake_root
    spaces = {way.settings.embedding.space: load_embedder(way.settings).spec.dim for way in (before, after)}
    times = EventTimes(root, {spec.name: spec for name, dim in spaces.items() for spec in index_tables(name, dim)})
    features = PastFeatures(root)
    for question in sorted(questions, key=lambda one: one.asked_at):
        day = times.newest_by(question.asked_at)
        was = await before.outcome(question, day, features)
        would_be = await after.outcome(question, day, features)
        yield Compared(question.text, question.asked_at, was, would_be, _recall(question, was, would_be))


def summary(compared: Sequence[Compared]) -> Summary:
    """Return the counts and means over questions that were compared, at least one."""
    judged = [one.recall for one in compared if one.recall is not None]
    return Summary(
        questions=len(compared),
        answers_changed=sum(one.answer_changed for one in compared),
        hits_changed=sum(one.hits_changed for one in compared),
        judged=len(judged),
        recall=(fmean(pair[0] for pair in judged), fmean(pair[1] for pair in judged)) if judged else None,
        latency_ms=(
            median(one.before.latency_ms for one in compared),
            median(one.after.latency_ms for one in compared),
        ),
    )


def _recall(question: AskedQuestion, *outcomes: Outcome) -> tuple[float, float] | None:
    if not question.relevant:
        return None
    judged = dict.fromkeys(question.relevant, 1)
    before, after = (recall(outcome.chunk_ids, judged, len(outcome.chunk_ids)) for outcome in outcomes)
    return before, after
