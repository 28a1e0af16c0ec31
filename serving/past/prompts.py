"""Which identities of prompts an answer may carry that could be asked for again."""

from __future__ import annotations

from ragstone.lake.prompts import recorded_prompts
from ragstone.runtime.settings import Settings
from serving.generation.extractive import EXTRACTIVE_HASH
from serving.generation.generative import generative_hash
from serving.generation.prompt import load_prompt


def known_prompt_hashes(settings: Settings) -> frozenset[str]:
    """Return the identities of extractive answers, and of today's model with every prompt that was ever in use."""
    prompts = {prompt.prompt_hash for prompt in recorded_prompts(settings.lake_root)}
    if settings.llm.url is not None:
        prompts.add(load_prompt(settings).prompt_hash)
    return frozenset({EXTRACTIVE_HASH, *(generative_hash(prompt, settings.llm.model) for prompt in prompts)})
