"""Telling whether texts say what a document said, from hashes alone: what a purge looks for, without keeping it.

A trace is a run of words. Long texts leave the traces of every run of `RUN_WORDS` words, so a passage is found wherever
it was cut; a title or an address leaves one of its own length. A single word is no trace: it would be found everywhere.
Spelling of case, spaces and punctuation does not matter.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

RUN_WORDS: Final = 5
_WORD: Final = re.compile(r"\w+")
_DIGEST_BYTES: Final = 8
_FEWEST_WORDS: Final = 2


@dataclass
class Traces:
    """Hashed runs of words, by their length. `salt` keeps the hashes of one purge from meaning anything elsewhere."""

    salt: str = field(default_factory=lambda: secrets.token_hex(8))
    runs: dict[int, set[str]] = field(default_factory=dict)

    def learn(self, text: str) -> None:
        """Add the traces of a text."""
        words = _words(text)
        length = min(len(words), RUN_WORDS)
        if length >= _FEWEST_WORDS:
            self.runs.setdefault(length, set()).update(self._hashes(words, length))

    def forget(self, text: str) -> bool:
        """Drop the traces that another text has too, and return whether there were any."""
        found = list(self._found(_words(text)))
        for length, digest in found:
            self.runs[length].discard(digest)
        return bool(found)

    def match(self, text: str) -> bool:
        """Return whether a text has a trace."""
        return next(self._found(_words(text)), None) is not None

    def stored_runs(self, content: bytes) -> Iterator[str]:
        """Yield the runs of words in stored bytes that are traces, or may be, as they stand there.

        Lengths around each text in the bytes may pass for letters of its first or last word, so a run counts also
        without those. A run of another text can then pass for a trace: `river` is in `rivers`.
        """
        words = _words(content.decode("utf-8", "replace"))
        for length, known in self.runs.items():
            for start in range(len(words) - length + 1 if known else 0):
                first, *others = words[start : start + length]
                *between, last = others
                begins, ends = (first, first[1:]), (last, last[:-1], last[:-2])
                if any(self._hash([begin, *between, end]) in known for begin in begins for end in ends):
                    yield " ".join(words[start : start + length])

    def __len__(self) -> int:
        return sum(map(len, self.runs.values()))

    def as_json(self) -> dict[str, Any]:
        """Return the traces as JSON has them."""
        return {"salt": self.salt, "runs": {str(length): sorted(found) for length, found in self.runs.items()}}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Traces:
        """Return traces as `as_json` gave them."""
        return cls(document["salt"], {int(length): set(found) for length, found in document["runs"].items()})

    def _found(self, words: list[str]) -> Iterator[tuple[int, str]]:
        for length, known in self.runs.items():
            for digest in self._hashes(words, length):
                if digest in known:
                    yield length, digest

    def _hashes(self, words: list[str], length: int) -> Iterator[str]:
        for start in range(len(words) - length + 1):
            yield self._hash(words[start : start + length])

    def _hash(self, run: Sequence[str]) -> str:
        content = (self.salt + " ".join(run)).encode("utf-8", "surrogatepass")
        return hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def leaves(value: Any) -> Iterator[str]:
    """Yield every text in a value of lists, tuples and mappings, keys included; bytes as the UTF-8 there is in them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bytes):
        yield value.decode("utf-8", "replace")
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(name)
            yield from leaves(inner)
    elif isinstance(value, Iterable):
        for inner in value:
            yield from leaves(inner)


def says(text: str, run: str) -> bool:
    """Return whether a text has a run of words, given as `stored_runs` gives it."""
    return f" {run} " in f" {' '.join(_words(text))} "


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())
