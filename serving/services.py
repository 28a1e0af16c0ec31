"""What the service is made of: loaded once when it starts, closed when it ends."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import redis

from ragstone.embedding.load import load_embedder
from ragstone.embedding.port import Embedder
from ragstone.features.online import OnlineReader, forget_decoded
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from serving.answering import Answerer
from serving.audit import BackgroundAudit
from serving.auth import KeyRing
from serving.cpu_pool import CpuPool
from serving.events import RetrievalLog
from serving.feedback import FeedbackLog
from serving.generation.generative import Generator
from serving.generation.prompt import load_prompt
from serving.generation.prompt_history import record_in_use
from serving.index.follower import IndexFollower
from serving.index.manifest import IndexManifest
from serving.lineage import LineageReader
from serving.past.answering import PastAnswerer
from serving.past.indexes import PastIndexes
from serving.redis_calls import told_as_unavailable
from serving.retrieval.ranking import forget_sentences
from serving.retrieval.retriever import Retriever
from serving.sessions.store import SessionStore

if TYPE_CHECKING:
    from serving.generation.openai_chat import OpenAIChat

# Calls to Redis and FAISS leave the interpreter's lock, so a few threads more than cores keep the cores busy.
_THREADS = min(32, 4 + (os.cpu_count() or 1))


@dataclass(frozen=True)
class Services:
    """Everything that routes call. One per process, for one event loop."""

    settings: Settings
    keys: KeyRing
    pool: CpuPool
    index: IndexFollower
    audit: BackgroundAudit
    reader: OnlineReader
    client: redis.Redis
    retriever: Retriever
    answerer: Answerer
    past: PastAnswerer
    lineage: LineageReader
    feedback: FeedbackLog
    chat: OpenAIChat | None

    def check(self) -> IndexManifest:
        """Return the manifest of the served index.

        Raises RetrievalUnavailableError when Redis does not answer, or when the index was withdrawn.
        """
        with told_as_unavailable("the online store does not answer, so no question can be answered"):
            self.client.ping()
        return self.index.current().manifest

    async def close(self) -> None:
        """Let go of threads, connections and files."""
        self.audit.close()
        self.index.close()
        self.pool.close()
        if self.chat is not None:
            await self.chat.close()
        self.reader.close()
        self.client.close()


def open_services(settings: Settings) -> Services:
    """Load the encoder, the published index and the online store, and follow the index from now on.

    Raises IndexIncompatibleError when the index belongs to another encoder or is broken, NotFoundError when none was
    published, DependencyUnavailableError when the model or Redis is not there, ConfigError for a prompt or settings.
    """
    generator = _generator(settings)
    embedder = load_embedder(settings)
    index = IndexFollower(settings, embedder.spec.encoder_hash, on_change=_forget_passages)
    client, reader = online_client(settings), OnlineReader(settings)
    serving, pool = settings.serving, CpuPool(_THREADS)
    retriever = Retriever(settings, embedder, index.current, reader)
    log = RetrievalLog(client, ttl_s=serving.answer_ttl_s)
    sessions = SessionStore(client, ttl_s=serving.session_ttl_s, keep_turns=serving.session_turns)
    services = Services(
        settings=settings,
        keys=KeyRing(serving.api_keys),
        pool=pool,
        index=index,
        audit=BackgroundAudit(settings, index.current),
        reader=reader,
        client=client,
        retriever=retriever,
        answerer=Answerer(settings, retriever, index, reader, client, sessions, log, pool, generator),
        lineage=LineageReader(log, settings.lake_root, settings.index_root),
        past=_past_answerer(settings, embedder, pool, generator),
        feedback=FeedbackLog(client, log),
        chat=None if generator is None else generator.chat,
    )
    services.check()
    record_in_use(settings.lake_root, None if generator is None else generator.prompt)
    embedder.encode(["warm"])
    index.start()
    services.audit.start()
    return services


@asynccontextmanager
async def past_answerer(settings: Settings) -> AsyncIterator[PastAnswerer]:
    """Give what answers from past days, for as long as the context lasts; it needs neither Redis nor any index."""
    pool, generator = CpuPool(_THREADS), _generator(settings)
    try:
        yield _past_answerer(settings, load_embedder(settings), pool, generator)
    finally:
        pool.close()
        if generator is not None:
            await generator.chat.close()


def _past_answerer(settings: Settings, embedder: Embedder, pool: CpuPool, generator: Generator | None) -> PastAnswerer:
    of_prompt = None if generator is None else lambda prompt: replace(generator, prompt=prompt)
    return PastAnswerer(settings, embedder, PastIndexes(settings), pool, of_prompt)


def _forget_passages() -> None:
    forget_decoded()
    forget_sentences()


def _generator(settings: Settings) -> Generator | None:
    if settings.llm.url is None:
        return None
    # LangChain takes seconds to import, which a service without a language model need not pay.
    from serving.generation.openai_chat import OpenAIChat

    return Generator(OpenAIChat(settings.llm), settings.llm.model, load_prompt(settings))
