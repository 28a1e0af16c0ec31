"""Questions as they were asked: rows of events.retrievals, with what was found and what it was found in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.records import Principal
from ragstone.contracts.tables import RETRIEVALS
from ragstone.lake.read import query
from serving.served_state import ServedState

_PASSED: Final = "passed"
_SQL: Final = """
    SELECT * FROM events WHERE event_timestamp >= ? AND event_timestamp < ? ORDER BY event_timestamp, answer_id"""


@dataclass(frozen=True)
class LoggedHit:
    """A hit as it was logged: `gate` is passed, or why the gate dropped it. Old events do not tell the document."""

    chunk_id: str
    document_id: str | None
    score: float
    gate: str


@dataclass(frozen=True)
class LoggedQuestion:
    """One question with what was shown: `shown` by rank, `dropped` as they were met, `cited` by the answer.

    `state` is None for an event of before it was recorded.
    """

    answer_id: str
    question: str
    principal: Principal
    asked_at: datetime
    answer: str
    abstained: bool
    shown: tuple[LoggedHit, ...]
    dropped: tuple[LoggedHit, ...]
    cited: tuple[str, ...]
    index_version: str
    encoder_hash: str
    prompt_hash: str
    state: ServedState | None


def logged_questions(root: Path, begin: datetime, end: datetime) -> list[LoggedQuestion]:
    """Return the questions that were asked from `begin` on and before `end`, oldest first."""
    return [_question(row) for row in query(root, _SQL, (begin, end), events=RETRIEVALS).to_pylist()]


def _question(row: Mapping[str, Any]) -> LoggedQuestion:
    hits = json.loads(row["hits"])
    passed = sorted((hit for hit in hits if hit["gate"] == _PASSED), key=lambda hit: hit["rank"])
    return LoggedQuestion(
        answer_id=row["answer_id"],
        question=row["question"],
        principal=Principal(row["principal"], frozenset(row["principal_groups"])),
        asked_at=row["event_timestamp"],
        answer=row["answer"],
        abstained=row["abstained"],
        shown=tuple(map(_hit, passed)),
        cited=tuple(citation["chunk_id"] for citation in json.loads(row["citations"])),
        dropped=tuple(_hit(hit) for hit in hits if hit["gate"] != _PASSED),
        index_version=row["index_version"],
        encoder_hash=row["encoder_hash"],
        prompt_hash=row["prompt_hash"],
        state=None if row["served_state"] is None else ServedState.model_validate_json(row["served_state"]),
    )


def _hit(hit: Mapping[str, Any]) -> LoggedHit:
    return LoggedHit(hit["chunk_id"], hit.get("document_id"), hit["score"], hit["gate"])
