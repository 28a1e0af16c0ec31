"""The structure chunker: sections by heading, packed from sentences up to the cap, with whole sentences of overlap."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ragstone.contracts.identity import chunk_id, stable_hash, text_hash
from spark_jobs.chunking.cuts import cut_points
from spark_jobs.chunking.units import PART, Unit, WordCounter, section_units, unit_keys
from spark_jobs.parsers.document import Heading

CHUNKER_VERSION: Final = "2"
_PATH_SEPARATOR: Final = " > "


@dataclass(frozen=True)
class Chunk:
    """A span [char_start, char_end) of a document's text, in code points; `text` is exactly that span.

    `token_count` is in word pieces without special tokens. `heading_path` names the headings above, the chunk's own
    included, joined by ' > '.
    """

    chunk_id: str
    ordinal: int
    char_start: int
    char_end: int
    heading_path: str
    text: str
    token_count: int
    text_hash: str


@dataclass(frozen=True)
class StructureChunker:
    """Cuts documents into chunks of at most `max_tokens` word pieces as `pieces` counts them.

    `overlap_tokens` bounds what a chunk repeats of the one before it in its section: whole sentences, as far as they
    fit. `chunker_hash` names this chunker with its settings and tokenizer; it is part of every chunk's identity.
    """

    pieces: WordCounter
    max_tokens: int
    overlap_tokens: int
    chunker_hash: str

    def chunk(
        self, document_id: str, text: str, headings: Sequence[Heading], kept_lines: Sequence[tuple[int, int]] = ()
    ) -> list[Chunk]:
        """Return the chunks of a document in reading order. Every visible character is in at least one.

        In the spans `kept_lines` no line is cut that is under the cap by itself: a row of a table stays whole. Packing
        restarts at every heading, so an edit changes no chunk of another section; inside a section it changes those
        about it.
        """
        occurrences: dict[str, int] = {}
        chunks: list[Chunk] = []
        for section in _sections(text, headings):
            for units in self._packed(text, section, kept_lines):
                span = text[units[0].start : units[-1].end]
                digest = text_hash(span)
                occurrence = occurrences.get(digest, 0)
                occurrences[digest] = occurrence + 1
                chunks.append(
                    Chunk(
                        chunk_id=chunk_id(document_id, self.chunker_hash, digest, occurrence),
                        ordinal=len(chunks),
                        char_start=units[0].start,
                        char_end=units[-1].end,
                        heading_path=section.heading_path,
                        text=span,
                        token_count=sum(unit.tokens for unit in units),
                        text_hash=digest,
                    )
                )
        return chunks

    def _packed(self, text: str, section: _Section, kept_lines: Sequence[tuple[int, int]]) -> Iterator[list[Unit]]:
        units = section_units(text, section.start, section.end, self.pieces, self.max_tokens, kept_lines)
        bounds = [0, *(index for index, unit in enumerate(units) if unit.level == PART), len(units)]
        for first, last in itertools.pairwise(bounds):
            run = units[first:last]
            sizes = np.array([unit.size for unit in run], dtype=np.int64)
            cuts = [0, *cut_points(sizes, unit_keys(text, run), self.max_tokens), len(run)]
            for start, end in itertools.pairwise(cuts):
                if end > start:
                    yield run[self._overlap_start(run, start, end) : end]

    def _overlap_start(self, run: list[Unit], start: int, end: int) -> int:
        room = min(self.overlap_tokens, self.max_tokens - sum(unit.size for unit in run[start:end]))
        while start > 0 and run[start - 1].size <= room:
            start -= 1
            room -= run[start].size
        return start


def chunker_hash(max_tokens: int, overlap_tokens: int, tokenizer_hash: str) -> str:
    """Return the identity of the structure chunker with these settings over this tokenizer."""
    return stable_hash("chunker", "structure", CHUNKER_VERSION, max_tokens, overlap_tokens, tokenizer_hash)


@dataclass(frozen=True)
class _Section:
    start: int
    end: int
    heading_path: str


def _sections(text: str, headings: Sequence[Heading]) -> Iterator[_Section]:
    """Yield the sections of a text in order. A heading with nothing of its own below opens the section that follows."""
    path: list[Heading] = []
    start = 0
    body_start = 0
    for heading in headings:
        if text[body_start : heading.char_start].strip():
            yield _Section(start, heading.char_start, _joined(path))
            start = heading.char_start
        path = [*(above for above in path if above.level < heading.level), heading]
        body_start = heading.char_start + len(heading.title)
    if text[start:].strip():
        yield _Section(start, len(text), _joined(path))


def _joined(path: Sequence[Heading]) -> str:
    return _PATH_SEPARATOR.join(heading.title for heading in path)
