"""Retrieval events: what was asked, found and answered, written to a Redis stream as the table's contract has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import redis

from ragstone.contracts.names import RETRIEVAL_STREAM

_ANSWER_KEY: Final = "ragstone:answer:"

# The stream entry's id is known only once it is written, so the pointer to it is set where it is written. Entries past
# the answers' time to live are trimmed on the way.
_APPEND: Final = """
local now = redis.call('TIME')
local horizon = string.format('%d', (now[1] - tonumber(ARGV[1])) * 1000)
local id = redis.call('XADD', KEYS[1], 'MINID', '~', horizon, '*', unpack(ARGV, 2))
redis.call('SET', KEYS[2], id, 'EX', ARGV[1])
return id
"""


@dataclass(frozen=True)
class RetrievalEvent:
    """One row of events.retrievals. `citations`, `hits` and `online_watermark` are JSON text."""

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
    event_timestamp: datetime
    created_timestamp: datetime

    def encoded(self) -> dict[str, str]:
        """Return the event as the fields of a stream entry, all text."""
        return {field.name: _as_text(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def decoded(cls, entry: Mapping[str, str]) -> RetrievalEvent:
        """Return the event of a stream entry."""
        typed: dict[str, Any] = {
            **entry,
            "principal_groups": tuple(json.loads(entry["principal_groups"])),
            "abstained": entry["abstained"] == "true",
            "event_timestamp": datetime.fromisoformat(entry["event_timestamp"]),
            "created_timestamp": datetime.fromisoformat(entry["created_timestamp"]),
        }
        return cls(**typed)


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


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)


def _texts(entry: Mapping[Any, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in entry.items()}


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
