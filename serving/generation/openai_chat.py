"""Any OpenAI-compatible model, through LangChain: one call, one deadline, no retry, no detour through a proxy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import openai
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langsmith import tracing_context
from pydantic import SecretStr

from ragstone.runtime.errors import GenerationError
from ragstone.runtime.settings import LlmSettings

# Servers of one's own often want no key, but the client refuses to go without.
_NO_KEY: Final = SecretStr("none")
_CONNECT_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True)
class Completion:
    """What the model said, and the tokens it read and wrote (0 where the server does not tell)."""

    text: str
    tokens_in: int
    tokens_out: int


class OpenAIChat:
    """One model behind one address, for one event loop: create it where it is used, and close it there."""

    def __init__(self, settings: LlmSettings) -> None:
        assert settings.url is not None
        self._url = settings.url
        self._timeout_s = settings.timeout_s
        # Proxies, organisations and keys of the environment are another tool's settings: none of them is obeyed.
        timeout = httpx2.Timeout(settings.timeout_s, connect=min(_CONNECT_TIMEOUT_S, settings.timeout_s))
        self._client = httpx2.AsyncClient(trust_env=False, timeout=timeout)
        self._sync_client = httpx2.Client(trust_env=False, timeout=timeout)
        self._model = ChatOpenAI(
            model=settings.model,
            base_url=settings.url,
            api_key=settings.api_key or _NO_KEY,
            openai_proxy="",
            http_socket_options=(),
            temperature=settings.temperature,
            timeout=settings.timeout_s,
            max_retries=0,
            use_responses_api=False,
            http_client=self._sync_client,
            http_async_client=self._client,
        )
        self._model.root_async_client.organization = None
        self._model.root_async_client.project = None

    async def complete(self, rules: str, message: str, timeout_s: float) -> Completion:
        """Return the model's answer within `timeout_s` seconds and the setting's own bound.

        Raises GenerationError whatever goes wrong: a refusal, a server error, silence, or an answer that is none.
        """
        allowed_s = min(timeout_s, self._timeout_s)
        try:
            # The client's own timeout is per read: a server that drips one byte at a time would never meet it.
            async with asyncio.timeout(allowed_s):
                with tracing_context(enabled=False):
                    reply = await self._model.ainvoke([SystemMessage(rules), HumanMessage(message)])
        except TimeoutError as late:
            raise self._failed("late", "did not answer in time", f"nothing after {allowed_s:.1f} s") from late
        except Exception as failure:
            # Errors come in three families: LangChain's, the client's, and what a nonsensical body provokes.
            raise self._failed("failed", "failed", _told(failure)) from failure
        text = reply.text.strip()
        if not text:
            raise self._failed(
                "empty", "answered nothing", f"finish reason {reply.response_metadata.get('finish_reason')}"
            )
        usage: Any = reply.usage_metadata or {}
        return Completion(text, usage.get("input_tokens", 0), usage.get("output_tokens", 0))

    async def close(self) -> None:
        """Close the connections."""
        self._sync_client.close()
        await self._client.aclose()

    def _failed(self, reason: str, how: str, got: str) -> GenerationError:
        return GenerationError(
            f"the language model {how}",
            reason=reason,
            where=self._url,
            got=got,
            wanted="a chat completion",
            next_step="check RAGSTONE_LLM_URL and the model's server; answers are extractive meanwhile",
        )


def _told(failure: Exception) -> str:
    if isinstance(failure, openai.APIStatusError):
        return f"HTTP {failure.status_code}"
    return f"{type(failure).__name__}: {str(failure)[:200]}"
