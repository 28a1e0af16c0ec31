"""Feedback: what whoever was given an answer says of it, written to a Redis stream as the table's contract has it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import redis

from ragstone.contracts.names import FEEDBACK_STREAM
from ragstone.contracts.records import Principal
from ragstone.contracts.stream_entries import to_entry
from ragstone.contracts.tables import FEEDBACK
from ragstone.runtime.errors import BadInputError
from serving.events import RetrievalEvent, RetrievalLog
from serving.redis_calls import told_as_unavailable

SCORES: Final = {"up": 1, "down": -1, None: 0}


@dataclass(frozen=True)
class Judgement:
    """What is said of an answer. `score` is one of `SCORES`, 0 without thumbs.

    `chunk_id` is the passage that answers best, one of those that were shown with the answer.
    """

    answer_id: str
    score: int
    chunk_id: str | None = None
    corrected_answer: str | None = None
    comment: str | None = None


@dataclass(frozen=True)
class FeedbackLog:
    """The stream of judgements; `answers` tells which answers there are to judge."""

    client: redis.Redis
    answers: RetrievalLog

    def record(self, judgement: Judgement, principal: Principal) -> str:
        """Write a judgement of an answer that this principal was given, and return the judgement's id.

        Raises NotFoundError for an answer of somebody else or none at all, BadInputError for a chunk that was not shown
        with it and where nothing is said, RetrievalUnavailableError when Redis does not answer.
        """
        _check_said(judgement)
        with told_as_unavailable("the feedback cannot be recorded"):
            event = self.answers.given(judgement.answer_id, principal)
            _check_shown(judgement, event)
            row = _row(judgement, principal)
            entry: Any = to_entry(FEEDBACK, row)
            self.client.xadd(FEEDBACK_STREAM, entry)
        return str(row["feedback_id"])


def _row(judgement: Judgement, principal: Principal) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        **vars(judgement),
        "feedback_id": secrets.token_hex(16),
        "principal": principal.name,
        "event_timestamp": now,
        "created_timestamp": now,
    }


def _check_said(judgement: Judgement) -> None:
    if not any((judgement.score, judgement.chunk_id, judgement.corrected_answer, judgement.comment)):
        raise BadInputError(
            "nothing is said of the answer",
            where="feedback",
            got="an answer_id alone",
            wanted="thumbs, a chosen chunk, a corrected answer or a comment",
        )


def _check_shown(judgement: Judgement, event: RetrievalEvent) -> None:
    if judgement.chunk_id is not None and judgement.chunk_id not in set(_shown(event)):
        raise BadInputError(
            "this chunk was not shown with the answer",
            where="feedback, chosen chunk",
            got=judgement.chunk_id,
            wanted="the chunk_id of one of the answer's citations, or of another hit that its lineage lists as passed",
        )


def _shown(event: RetrievalEvent) -> Iterator[str]:
    """Yield the chunks that passed the gate: those the answer cites are among them."""
    yield from (hit["chunk_id"] for hit in json.loads(event.hits) if hit["gate"] == "passed")
