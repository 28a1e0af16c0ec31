"""The prompt of a past day: recorded when a service begins to use it, found again by the day."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from ragstone.lake.prompts import PromptInUse, prompt_at, record_prompt
from serving.generation.extractive import EXTRACTIVE_HASH
from serving.generation.prompt import Prompt


def record_in_use(lake_root: Path, prompt: Prompt | None) -> None:
    """Record the prompt that is used from now on, None for extractive answers; nothing when it is used already."""
    if prompt is None:
        record_prompt(lake_root, PromptInUse(EXTRACTIVE_HASH, None, None))
    else:
        record_prompt(lake_root, PromptInUse(prompt.prompt_hash, prompt.rules, prompt.message))


def prompt_of(lake_root: Path, at: datetime) -> Prompt | None:
    """Return the prompt that was in use at a time, or None when answers were extractive or nothing was recorded yet."""
    found = prompt_at(lake_root, at)
    if found is None or found.rules is None or found.message is None:
        return None
    return Prompt(found.rules, found.message)
