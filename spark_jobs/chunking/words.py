"""The word chunker: a fixed number of words, some of them repeated, whatever the structure says."""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ragstone.contracts.identity import chunk_id, stable_hash, text_hash
from spark_jobs.chunking.structure import Chunk
from spark_jobs.chunking.units import WordCounter
from spark_jobs.parsers.document import Heading

WORDS_VERSION: Final = "1"
_PATH_SEPARATOR: Final = " > "
_RUN: Final = re.compile(r"\S+")
# Scripts without spaces run on for pages: such a run counts as one word for each so many characters.
_LONGEST_WORD: Final = 100
# A character may have several word pieces, such as a syllable of Hangul.
_PIECES_PER_CHARACTER: Final = 3


@dataclass(frozen=True)
class WordChunker:
    """Cuts documents into chunks of `words` words, of which `overlap_words` are the last of the chunk before.

    A chunk ends sooner where `window` word pieces are full; None means that the encoder takes texts of any length.
    `heading_path` names the headings above the chunk's beginning.
    """

    pieces: WordCounter
    words: int
    overlap_words: int
    window: int | None
    chunker_hash: str

    def chunk(
        self,
        document_id: str,
        text: str,
        headings: Sequence[Heading],
        kept_lines: Sequence[tuple[int, int]] = (),  # noqa: ARG002 -- a number of words is all this one looks at
    ) -> list[Chunk]:
        """Return the chunks of a document in reading order. Every visible character is in at least one."""
        words = list(_words(text, self._longest_word()))
        counts = [self.pieces.count(text[start:end]) for start, end in words]
        occurrences: dict[str, int] = {}
        chunks: list[Chunk] = []
        for first, last in self._stretches(counts):
            start, end = words[first][0], words[last - 1][1]
            span = text[start:end]
            digest = text_hash(span)
            occurrence = occurrences.get(digest, 0)
            occurrences[digest] = occurrence + 1
            chunks.append(
                Chunk(
                    chunk_id=chunk_id(document_id, self.chunker_hash, digest, occurrence),
                    ordinal=len(chunks),
                    char_start=start,
                    char_end=end,
                    heading_path=_path_at(headings, start),
                    text=span,
                    token_count=sum(counts[first:last]),
                    text_hash=digest,
                )
            )
        return chunks

    def _longest_word(self) -> int:
        return (
            _LONGEST_WORD if self.window is None else max(1, min(_LONGEST_WORD, self.window // _PIECES_PER_CHARACTER))
        )

    def _stretches(self, counts: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield [first, last) of the words of each chunk; each begins and ends after the one before."""
        ends = np.concatenate(([0], np.cumsum(counts)))
        first = last = 0
        while last < len(counts):
            # Without progress past the words that are repeated, a chunk full of them would repeat them for ever.
            first = max(first + 1, last - self.overlap_words) if last else 0
            while self._end(ends, first) <= last:
                first += 1
            last = self._end(ends, first)
            yield first, last

    def _end(self, ends: np.ndarray, first: int) -> int:
        last = min(first + self.words, len(ends) - 1)
        if self.window is None:
            return last
        fitting = int(np.searchsorted(ends, ends[first] + self.window, "right")) - 1
        return min(last, max(fitting, first + 1))


def words_hash(words: int, overlap_words: int, window: int | None, tokenizer_hash: str) -> str:
    """Return the identity of the word chunker with these settings over this tokenizer."""
    return stable_hash("chunker", "words", WORDS_VERSION, words, overlap_words, window or 0, tokenizer_hash)


def _words(text: str, longest: int) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each word; a longer run is cut, but not between a mark and what it stands on."""
    for run in _RUN.finditer(text):
        start = run.start()
        while start < run.end():
            end = min(start + longest, run.end())
            while end < run.end() and unicodedata.category(text[end]).startswith("M"):
                end += 1
            yield start, end
            start = end


def _path_at(headings: Sequence[Heading], place: int) -> str:
    path: list[Heading] = []
    for heading in itertools.takewhile(lambda heading: heading.char_start <= place, headings):
        path = [*(above for above in path if above.level < heading.level), heading]
    return _PATH_SEPARATOR.join(heading.title for heading in path)
