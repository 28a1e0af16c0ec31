"""Which prompt was in use when: a row for each change, so that a past day can be answered with its own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from ragstone.contracts.tables import PROMPTS
from ragstone.lake.delta import append_rows
from ragstone.lake.read import query

_NEWEST_SQL = """
    SELECT prompt_hash, rules, message FROM prompts WHERE event_timestamp <= ? ORDER BY event_timestamp DESC LIMIT 1"""


@dataclass(frozen=True)
class PromptInUse:
    """What answers were asked for with; `rules` and `message` are None where no language model had a part in them."""

    prompt_hash: str
    rules: str | None
    message: str | None


def prompt_at(root: Path, at: datetime) -> PromptInUse | None:
    """Return what was in use at a time, or None when nothing had been recorded by then."""
    found = query(root, _NEWEST_SQL, (at,), prompts=PROMPTS).to_pylist()
    return PromptInUse(**found[0]) if found else None


def recorded_prompts(root: Path) -> list[PromptInUse]:
    """Return every prompt that was ever in use, in no particular order."""
    rows = query(root, "SELECT DISTINCT prompt_hash, rules, message FROM prompts", prompts=PROMPTS).to_pylist()
    return [PromptInUse(**row) for row in rows]


def record_prompt(root: Path, prompt: PromptInUse) -> bool:
    """Record what is in use from now on, and return whether that was a change."""
    now = datetime.now(UTC)
    if prompt_at(root, now) == prompt:
        return False
    append_rows(root, PROMPTS, [{**asdict(prompt), "event_timestamp": now}])
    return True
