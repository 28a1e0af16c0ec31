"""The units a section is packed from: sentences, lines of tables and code, and the words of those over the cap.

A unit's size is its number of word pieces, but at least a tenth of its characters: a string the tokenizer gives up on
is one piece however long it is, and it must not make a chunk of any length.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from ragstone.text.sentences import sentence_spans

MAX_CHARS_PER_PIECE: Final = 10

_WORD: Final = re.compile(r"\S+")
_LINE: Final = re.compile(r"\S(?:[^\n]*\S)?")
_PARAGRAPH_BREAK: Final = re.compile(r"\n\n")
_WINDOW_CHARS: Final = 100_000
# The key of a line or word covers those after it too, or the rarest one of a text would be its only place to cut.
_CONTEXT: Final = 3
_MAX_CLUSTER_CHARS: Final = 64
_JOINERS: Final = "\u200c\u200d"

# How good a place to cut: before a paragraph, a sentence, a line of a table or of code, a word. Between two parts of
# one word the cut is forced.
PARAGRAPH, SENTENCE, LINE, WORD, PART = range(5)


class WordCounter(Protocol):
    """What the chunker asks of the encoder's tokenizer."""

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return [start, end) of every word piece, in order, in code points."""

    def count(self, text: str) -> int:
        """Return how many word pieces the text has."""


@dataclass(frozen=True)
class Unit:
    """A span [start, end) that is cut no further; `level` says what stands before it."""

    start: int
    end: int
    level: int
    tokens: int

    @property
    def size(self) -> int:
        """Return the size that counts against the cap."""
        return max(self.tokens, -(-(self.end - self.start) // MAX_CHARS_PER_PIECE))


def section_units(
    text: str, start: int, end: int, pieces: WordCounter, cap: int, kept_lines: Sequence[tuple[int, int]] = ()
) -> list[Unit]:
    """Return the units of the section [start, end), none of a size over `cap`, in order, without outer space.

    In the spans `kept_lines`, in order, lines are units instead of sentences.
    """
    return list(_Section(text, start, end, pieces, cap, kept_lines).units())


def unit_keys(text: str, units: list[Unit]) -> npt.NDArray[np.uint64]:
    """Return a key for each unit, shape (units,): smaller at a better place to cut, else by hash."""
    keys = np.empty(len(units), dtype=np.uint64)
    for index, unit in enumerate(units):
        last = units[min(index + _CONTEXT, len(units)) - 1] if unit.level >= LINE else unit
        digest = hashlib.blake2b(text[unit.start : last.end].encode(), digest_size=7).digest()
        keys[index] = (unit.level << 56) | int.from_bytes(digest, "big")
    return keys


class _Section:
    """One section's text with the places where its word pieces begin."""

    def __init__(
        self,
        text: str,
        start: int,
        end: int,
        pieces: WordCounter,
        cap: int,
        kept_lines: Sequence[tuple[int, int]],
    ) -> None:
        self._text, self._start, self._end, self._pieces, self._cap = text, start, end, pieces, cap
        self._kept_lines = kept_lines
        self._piece_starts = np.array(list(self._find_piece_starts()), dtype=np.int64)

    def units(self) -> Iterator[Unit]:
        position = self._start
        for found in _PARAGRAPH_BREAK.finditer(self._text, self._start, self._end):
            yield from self._paragraph(position, found.start())
            position = found.end()
        yield from self._paragraph(position, self._end)

    def _paragraph(self, start: int, end: int) -> Iterator[Unit]:
        if not self._keeps_lines(start):
            yield from self._sentences(start, end, PARAGRAPH)
            return
        level = PARAGRAPH
        for found in _LINE.finditer(self._text, start, end):
            line = self._unit(found.start(), found.end(), level)
            yield from [line] if line.size <= self._cap else self._sentences(line.start, line.end, level)
            level = LINE

    def _keeps_lines(self, place: int) -> bool:
        index = bisect_right(self._kept_lines, place, key=lambda span: span[0]) - 1
        return index >= 0 and place < self._kept_lines[index][1]

    def _sentences(self, start: int, end: int, level: int) -> Iterator[Unit]:
        for first, last in sentence_spans(self._text[start:end]):
            sentence = self._unit(start + first, start + last, level)
            yield from [sentence] if sentence.size <= self._cap else self._words(sentence)
            level = SENTENCE

    def _words(self, sentence: Unit) -> Iterator[Unit]:
        level = sentence.level
        for found in _WORD.finditer(self._text, sentence.start, sentence.end):
            word = self._unit(found.start(), found.end(), level)
            yield from [word] if word.size <= self._cap else self._parts(word)
            level = WORD

    def _parts(self, word: Unit) -> Iterator[Unit]:
        start, level = word.start, word.level
        while start < word.end:
            end = self._part_end(start, word.end)
            yield Unit(start, end, level, self._pieces.count(self._text[start:end]))
            start, level = end, PART

    def _part_end(self, start: int, end: int) -> int:
        """Return the end of the longest part that fits, halving until it does; a cut word is counted anew."""
        length = self._cap * MAX_CHARS_PER_PIECE
        while True:
            cut = _outside_cluster(self._text, start, min(start + length, end))
            if length == 1 or self._pieces.count(self._text[start:cut]) <= self._cap:
                return cut
            length //= 2

    def _unit(self, start: int, end: int, level: int) -> Unit:
        first, last = np.searchsorted(self._piece_starts, (start, end))
        return Unit(start, end, level, int(last - first))

    def _find_piece_starts(self) -> Iterator[int]:
        start = self._start
        while start < self._end:
            end = self._window_end(start)
            yield from (start + first for first, _ in self._pieces.spans(self._text[start:end]))
            start = end

    def _window_end(self, start: int) -> int:
        """Return where a window of text may end: word pieces do not depend on what stands beyond white space."""
        if self._end - start <= _WINDOW_CHARS:
            return self._end
        limit = start + _WINDOW_CHARS
        space = max(self._text.rfind(" ", start, limit), self._text.rfind("\n", start, limit))
        return space + 1 if space > start else limit


def _outside_cluster(text: str, start: int, cut: int) -> int:
    """Return a place to cut at or before `cut` that parts no combining mark or joined emoji from its base."""
    for place in range(cut, max(start, cut - _MAX_CLUSTER_CHARS), -1):
        if place == len(text) or not _is_joined(text, place):
            return place
    return cut


def _is_joined(text: str, place: int) -> bool:
    character = text[place]
    # Marks, joiners, variation selectors and skin tones belong to what stands before them.
    return (
        unicodedata.category(character).startswith("M")
        or character in _JOINERS
        or "\U0001f3fb" <= character <= "\U0001f3ff"
        or text[place - 1] in _JOINERS
    )
