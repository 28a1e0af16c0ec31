"""Retrieval events: what was asked, found and answered, written to a Redis stream as the table's contract has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import redis

from ragstone.contracts.names import RETRIEVAL_STREAM
from ragstone.contracts.records import Principal
from ragstone.contracts.stream_entries import from_entry, to_entry
from ragstone.contracts.tables import RETRIEVALS
from ragstone.runtime.errors import NotFoundError

_ANSWER_KEY: Final = "ragstone:answer:"

# The stream entry's id is known only once it is written, so the pointer to it is set where it is written. Nothing is
# trimmed here: only what drains the stream knows which entries the lake has.
_APPEND: Final = """
local id = redis.call('XADD', KEYS[1], '*', unpack(ARGV, 2))
redis.call('SET', KEYS[2], id, 'EX', ARGV[1])
return id
"""


@dataclass(frozen=True)
class RetrievalEvent:
    """One row of events.retrievals. `citations`, `hits`, `online_watermark` and `served_state` are JSON text."""

    answer_id: str
    session_id: str
    principal: str
    principal_groups: tuple[str, ...]
    question: str
    answer: str
    abstained: bool
    citations: str
    hits: str
    index_version: str
    online_watermark: str
    prompt_hash: str
    settings_hash: str
    encoder_hash: str
    served_state: str | None
    event_timestamp: datetime
    created_timestamp: datetime

    def encoded(self) -> dict[str, str]:
        """Return the event as the fields of a stream entry, all text."""
        return to_entry(RETRIEVALS, vars(self))

    @classmethod
    def decoded(cls, entry: Mapping[str, str]) -> RetrievalEvent:
        """Return the event of a stream entry. Raises ValueError for one that is none."""
        row = from_entry(RETRIEVALS, entry)
        return cls(**{**row, "principal_groups": tuple(row["principal_groups"])})


class RetrievalLog:
    """The stream of retrieval events; each can be found by its answer for `ttl_s` seconds."""

    def __init__(self, client: redis.Redis, *, ttl_s: int) -> None:
        self._client = client
        self._ttl_s = ttl_s

    def append(self, commands: redis.client.Pipeline, event: RetrievalEvent) -> None:
        """Put the command that writes an event onto a pipeline."""
        entry = [text for pair in event.encoded().items() for text in pair]
        commands.eval(_APPEND, 2, RETRIEVAL_STREAM, _ANSWER_KEY + event.answer_id, str(self._ttl_s), *entry)

    def find(self, answer_id: str) -> RetrievalEvent | None:
        """Return the event of an answer, or None when there is none (any more). Raises redis.RedisError."""
        entry_id: Any = self._client.get(_ANSWER_KEY + answer_id)
        if entry_id is None:
            return None
        entries: Any = self._client.xrange(RETRIEVAL_STREAM, entry_id, entry_id)
        return RetrievalEvent.decoded(_texts(entries[0][1])) if entries else None

    def given(self, answer_id: str, principal: Principal) -> RetrievalEvent:
        """Return the event of an answer that this principal was given.

        Raises NotFoundError when there is no such answer, or it was given to somebody else; and redis.RedisError.
        """
        event = self.find(answer_id)
        if event is None or event.principal != principal.name:
            raise NotFoundError(
                "there is no such answer",
                where="answers",
                got=answer_id,
                wanted="the id of an answer that was given to you, and not too long ago",
            )
        return event


def _texts(entry: Mapping[Any, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in entry.items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
