"""The two ways that a backtest compares: as the settings are, and with what is to be tried."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings
from serving.generation.generative import Generator
from serving.generation.prompt import load_prompt
from serving.past.backtest import Way, varied


@asynccontextmanager
async def ways(
    settings: Settings, *, prompt: str | None, space: str | None, k: int | None
) -> AsyncIterator[tuple[Way, Way]]:
    """Give the way of the settings and the varied one, for as long as the context lasts.

    Answers are extractive unless another prompt is tried: then the configured model gives both. Raises UsageError when
    nothing is varied, or a prompt is without a model; ConfigError for a prompt that is not there.
    """
    if prompt is None and space is None and k is None:
        raise UsageError("nothing is varied", got="none of them", wanted="--prompt, --space or -k")
    other = varied(settings, space, k)
    if prompt is None:
        yield Way(settings), Way(other)
        return
    if settings.llm.url is None:
        raise UsageError(
            "a prompt needs a language model",
            where="llm.url",
            got="none",
            wanted="an OpenAI-compatible address",
            next_step="export RAGSTONE_LLM_URL=...",
        )
    # LangChain takes seconds to import, which a comparison of retrieval alone need not pay.
    from serving.generation.openai_chat import OpenAIChat

    tried = settings.model_copy(update={"llm": settings.llm.model_copy(update={"prompt": prompt})})
    prompts, chat = (load_prompt(settings), load_prompt(tried)), OpenAIChat(settings.llm)
    try:
        before, after = (Generator(chat, settings.llm.model, one) for one in prompts)
        yield Way(settings, before), Way(other, after)
    finally:
        await chat.close()
