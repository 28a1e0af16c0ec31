"""What a backtest asks: logged questions with what was judged of them, or questions from a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.names import PUBLIC_GROUP
from ragstone.contracts.records import Principal
from ragstone.contracts.tables import FEEDBACK
from ragstone.lake.read import query
from ragstone.runtime.errors import BadInputError
from serving.past.logged import LoggedQuestion

# Per answer the newest judgement counts, as a whole.
_JUDGEMENTS_SQL: Final = """
    SELECT answer_id, score, chunk_id FROM feedback
    QUALIFY row_number() OVER (PARTITION BY answer_id ORDER BY event_timestamp DESC, created_timestamp DESC) = 1"""
_FIELDS: Final = ("question", "asked_at", "groups", "chunk_ids")


@dataclass(frozen=True)
class AskedQuestion:
    """A question, its day, who asked, and the chunks that were judged to answer it; empty when nobody judged."""

    text: str
    asked_at: datetime
    principal: Principal
    relevant: frozenset[str]


def asked_as_logged(root: Path, logged: Iterable[LoggedQuestion]) -> list[AskedQuestion]:
    """Return logged questions with the chunk their judge chose, or with thumbs up what the answer cites."""
    judged = {row["answer_id"]: row for row in query(root, _JUDGEMENTS_SQL, feedback=FEEDBACK).to_pylist()}
    return [
        AskedQuestion(one.question, one.asked_at, one.principal, _relevant(one, judged.get(one.answer_id)))
        for one in logged
    ]


def _relevant(logged: LoggedQuestion, judgement: Mapping[str, Any] | None) -> frozenset[str]:
    if judgement is None:
        return frozenset()
    if judgement["chunk_id"] is not None:
        return frozenset({judgement["chunk_id"]})
    return frozenset(logged.cited) if judgement["score"] > 0 else frozenset()


def asked_in_file(path: Path) -> list[AskedQuestion]:
    """Return the questions of a file: one JSON object a line, with question and, where told, the rest.

    `asked_at` is ISO 8601 with its zone, by default now; `groups` are those of who asks, besides public; `chunk_ids`
    answer it. Raises BadInputError with file and line.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as unreadable:
        raise _unusable(str(path), unreadable) from unreadable
    return [_asked(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]


def _asked(line: str, where: str) -> AskedQuestion:
    try:
        told = json.loads(line)
        unknown = told.keys() - set(_FIELDS)
        asked_at = datetime.fromisoformat(told.get("asked_at") or datetime.now(UTC).isoformat())
        groups = frozenset({PUBLIC_GROUP, *told.get("groups", ())})
        text, relevant = told["question"].strip(), frozenset(told.get("chunk_ids", ()))
    except (ValueError, TypeError, KeyError, AttributeError) as wrong:
        raise _unusable(where, line[:80]) from wrong
    if unknown or not text or asked_at.tzinfo is None:
        raise _unusable(where, line[:80])
    return AskedQuestion(text, asked_at, Principal("backtest", groups), relevant)


def _unusable(where: str, got: object) -> BadInputError:
    return BadInputError(
        "a question for the backtest cannot be used",
        where=where,
        got=got,
        wanted=f"a JSON object with question, and of {', '.join(_FIELDS[1:])} what is known; asked_at with its zone",
    )
