"""A Redis stream as something to drain: its identity, its entries in their order, its oldest ones dropped."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

import redis

# A position is one number, so that it can be a transaction's version: milliseconds, then the place within one.
_SEQUENCE_BITS: Final = 20


@dataclass(frozen=True, order=True)
class EntryId:
    """The id of an entry: Redis's clock in milliseconds, and a count within one millisecond. Later is greater."""

    milliseconds: int
    sequence: int

    @classmethod
    def parsed(cls, text: bytes | str) -> EntryId:
        """Return the id that Redis spells `milliseconds-sequence`."""
        milliseconds, _, sequence = (text.decode() if isinstance(text, bytes) else text).partition("-")
        return cls(int(milliseconds), int(sequence))

    @classmethod
    def at_position(cls, position: int) -> EntryId:
        """Return the id that has a position."""
        return cls(position >> _SEQUENCE_BITS, position & ((1 << _SEQUENCE_BITS) - 1))

    @property
    def position(self) -> int:
        """Return the id as one number of at most 63 bits, in the ids' order. Raises OverflowError when it has none."""
        if self.sequence >> _SEQUENCE_BITS or self.milliseconds >> (63 - _SEQUENCE_BITS):
            raise OverflowError(f"{self} has no position: its clock stood still for a million entries, or runs ahead")
        return self.milliseconds << _SEQUENCE_BITS | self.sequence

    @property
    def next(self) -> EntryId:
        """Return the smallest id that is greater."""
        return EntryId(self.milliseconds, self.sequence + 1)

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.sequence}"


@dataclass(frozen=True)
class Entry:
    """One entry: its id and its fields, as text."""

    id: EntryId
    fields: dict[str, str]


class RedisStream:
    """One stream. Every method raises redis.RedisError when the server does not answer."""

    def __init__(self, client: redis.Redis, name: str) -> None:
        self._client: Any = client
        self.name = name

    def identity(self) -> str:
        """Return the name that this server's stream got when it was first asked: a server that lost all has another.

        Ids of entries come from the server's clock, so those of another server may begin before where this one ended.
        """
        key = f"{self.name}:identity"
        self._client.set(key, secrets.token_hex(8), nx=True)
        return str(self._client.get(key).decode())

    def newest(self) -> EntryId | None:
        """Return the id of the newest entry, or None when there is no entry."""
        found = self._client.xrevrange(self.name, count=1)
        return EntryId.parsed(found[0][0]) if found else None

    def entries(self, after: EntryId | None, up_to: EntryId, count: int) -> list[Entry]:
        """Return at most `count` entries behind one id (None: from the oldest) and up to another, oldest first."""
        found = self._client.xrange(self.name, "-" if after is None else f"({after}", str(up_to), count)
        return [Entry(EntryId.parsed(name), _texts(fields)) for name, fields in found]

    def drop(self, up_to: EntryId, older_than_s: int) -> int:
        """Drop entries up to an id that were written more than so many seconds ago, and return how many went."""
        seconds, _ = self._client.time()
        oldest_kept = min(up_to.next, EntryId((seconds - older_than_s) * 1_000, 0))
        return int(self._client.xtrim(self.name, minid=str(oldest_kept), approximate=False))


def _texts(fields: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode("utf-8", "replace"): text.decode("utf-8", "replace") for name, text in fields.items()}
