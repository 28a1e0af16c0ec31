"""Replaying what was asked: each question again, on the state of the lake that it was served from.

Candidates come from an exact index of the rows that the searched one held, and the gate judges by what was online when
the question was asked. Both are read from the lake's rows by their times alone, so compacting, vacuuming, a flushed
Redis and lost snapshots change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from ragstone.contracts.state import AsOf
from ragstone.embedding.load import embedding_spec, in_space, load_embedder
from ragstone.features.past import PastFeatures
from ragstone.runtime.errors import ConfigError, IndexGateError
from ragstone.runtime.settings import Settings
from serving.index.snapshot import IndexSnapshot
from serving.past.differences import SCORE_TOLERANCE, Comparison, Difference, Reason, differences
from serving.past.indexes import read_past
from serving.past.logged import LoggedQuestion
from serving.past.prompts import known_prompt_hashes
from serving.retrieval.retriever import Retrieval, Retriever
from serving.served_state import ServedState

_DEADLINE_MS: Final = 3_600_000


@dataclass(frozen=True)
class Replayed:
    """One question asked again. It is `identical`, or `differences` say why not; with neither there is no reason."""

    answer_id: str
    question: str
    asked_at: datetime
    index_version: str
    identical: bool
    differences: tuple[Difference, ...]

    @property
    def explained(self) -> bool:
        """Return whether it is identical or a reason was found."""
        return self.identical or bool(self.differences)


def replay(settings: Settings, questions: Sequence[LoggedQuestion]) -> Iterator[Replayed]:
    """Ask the questions again and yield what came of each, those of one index together.

    A question is identical when the same chunks come back in the same order with scores within 1e-6, and the decision
    to answer is the same.
    """
    features = PastFeatures(settings.lake_root)
    prompts = known_prompt_hashes(settings)
    for _, group in groupby(sorted(questions, key=_served_from), key=_served_from):
        yield from _replay_group(settings, features, prompts, list(group))


def _served_from(question: LoggedQuestion) -> tuple[str, str]:
    """Return what questions that one index and one encoder served have in common."""
    state = question.state
    return "" if state is None else state.model_copy(update={"k": 0, "online_filled_at": None}).model_dump_json(), (
        question.encoder_hash
    )


def _replay_group(
    settings: Settings, features: PastFeatures, prompts: frozenset[str], group: Sequence[LoggedQuestion]
) -> Iterator[Replayed]:
    state, encoder_hash = group[0].state, group[0].encoder_hash
    if state is None:
        yield from (_replayed(one, (Difference(Reason.NOT_RECORDED, None, _OLD_EVENT),)) for one in group)
        return
    served = in_space(settings, state.space).model_copy(update={"abstain": state.abstain})
    try:
        snapshot = _snapshot(served, state, encoder_hash)
    except _OtherModelError as other:
        yield from (_replayed(one, (Difference(Reason.MODEL, None, str(other)),)) for one in group)
        return
    for question in group:
        yield _asked_again(served, features, snapshot, prompts, question, state)


def _snapshot(served: Settings, state: ServedState, encoder_hash: str) -> IndexSnapshot:
    try:
        now = embedding_spec(served).encoder_hash
        if now != encoder_hash:
            raise _OtherModelError(f"space {state.space} is encoded by {now} now, and was by {encoder_hash}")
        return read_past(served, state.indexed)
    except (ConfigError, IndexGateError) as refused:
        raise _OtherModelError(f"{refused.what}: {refused.got}") from refused


def _asked_again(
    served: Settings,
    features: PastFeatures,
    snapshot: IndexSnapshot,
    prompts: frozenset[str],
    question: LoggedQuestion,
    state: ServedState,
) -> Replayed:
    reader = features.reader(
        materialized=AsOf(written_by=state.online_filled_at or question.asked_at),
        access=AsOf(written_by=question.asked_at),
    )
    retriever = Retriever(served, load_embedder(served), lambda: snapshot, reader)
    retrieval = retriever.retrieve(question.question, question.principal, state.k, _DEADLINE_MS)
    prompt = () if question.prompt_hash in prompts else (Difference(Reason.PROMPT, None, _LOST_PROMPT),)
    if _is_identical(question, retrieval):
        return _replayed(question, prompt, identical=not prompt)
    comparison = Comparison(served, question, state, retrieval, snapshot, features, retriever.embed(question.question))
    return _replayed(question, (*differences(comparison), *prompt))


def _is_identical(question: LoggedQuestion, retrieval: Retrieval) -> bool:
    found = [(hit.chunk.chunk_id, hit.score) for hit in retrieval.hits]
    logged = [(hit.chunk_id, hit.score) for hit in question.shown]
    same_hits = [name for name, _ in found] == [name for name, _ in logged] and all(
        abs(score - then) <= SCORE_TOLERANCE for (_, score), (_, then) in zip(found, logged, strict=True)
    )
    # A model may have found no answer where the passages promised one, so only the other way round is a difference.
    return same_hits and (question.abstained or retrieval.abstain.answerable)


def _replayed(question: LoggedQuestion, found: tuple[Difference, ...], *, identical: bool = False) -> Replayed:
    return Replayed(question.answer_id, question.question, question.asked_at, question.index_version, identical, found)


class _OtherModelError(Exception):
    """The encoder of the day is not to be had any more."""


_OLD_EVENT: Final = "the event was recorded by an earlier version, which did not say what it was served from"
_LOST_PROMPT: Final = "the prompt or language model of the answer is none that is known here"
