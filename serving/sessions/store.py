"""Conversations: the last turns of each, kept in Redis until nobody has spoken for a while.

A conversation belongs to the principal that began it: the principal is part of its key, so that the same session id
shown by somebody else names another, empty conversation. Callers without a key are one principal; for them the session
id is the only secret, which is why ids that we choose cannot be guessed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import redis

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Principal


@dataclass(frozen=True)
class Turn:
    """One question and its answer; `number` counts from 1 within the conversation."""

    number: int
    question: str
    answer: str
    answer_id: str
    asked_at: datetime


class SessionStore:
    """The turns of each conversation, oldest first, at most `keep_turns`, for `ttl_s` seconds after the last."""

    def __init__(self, client: redis.Redis, *, ttl_s: int, keep_turns: int) -> None:
        self._client = client
        self._ttl_s = ttl_s
        self._keep_turns = keep_turns

    def turns(self, principal: Principal, session_id: str) -> tuple[Turn, ...]:
        """Return the kept turns, oldest first; none when there is no such conversation. Raises redis.RedisError."""
        kept: Any = self._client.lrange(_key(principal, session_id), 0, -1)
        return tuple(_decoded(turn) for turn in kept)

    def append(self, commands: redis.client.Pipeline, principal: Principal, session_id: str, turn: Turn) -> None:
        """Put the commands that add a turn, and start the expiry anew, onto a pipeline."""
        key = _key(principal, session_id)
        commands.rpush(key, json.dumps({**asdict(turn), "asked_at": turn.asked_at.isoformat()}))
        commands.ltrim(key, -self._keep_turns, -1)
        commands.expire(key, self._ttl_s)


def _key(principal: Principal, session_id: str) -> str:
    return f"ragstone:session:{stable_hash(principal.name, session_id)}"


def _decoded(turn: bytes | str) -> Turn:
    fields = json.loads(turn)
    return Turn(**{**fields, "asked_at": datetime.fromisoformat(fields["asked_at"])})
