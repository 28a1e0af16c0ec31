"""Citations: spans of the documents' own text, and the check that an answer cites only what it was shown."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from ragstone.contracts.records import Citation
from serving.retrieval.retriever import RetrievedChunk

_MARKERS: Final = re.compile(r"\s*\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")


@dataclass(frozen=True)
class Draft:
    """An answer on its way: its text with markers such as [1], and the citations the markers stand for."""

    text: str
    citations: tuple[Citation, ...]


@dataclass(frozen=True)
class Claim:
    """A stretch of an answer and the marker of the passage it rests on."""

    marker: int
    text: str


@dataclass(frozen=True)
class CheckedText:
    """An answer that cites only packed passages: `unknown` are the markers that were taken out."""

    text: str
    claims: tuple[Claim, ...]
    unknown: tuple[int, ...]


def chunk_url(chunk_id: str) -> str:
    """Return where the service shows a chunk, relative to its root."""
    return f"/v1/chunks/{chunk_id}"


def passage_text(hit: RetrievedChunk) -> str:
    """Return the text of a chunk that passed the gate."""
    # Only a tombstone has none, and the gate lets no tombstone pass.
    assert hit.chunk.text is not None
    return hit.chunk.text


def cite(marker: int, hit: RetrievedChunk, start: int, end: int) -> Citation:
    """Return the citation of [start, end) of a chunk's text; its span counts in the document's silver text."""
    chunk, document = hit.chunk, hit.document
    assert chunk.char_start is not None
    return Citation(
        marker=marker,
        chunk_id=chunk.chunk_id,
        document_id=document.document_id,
        title=document.title or "",
        source_uri=document.source_uri or "",
        char_start=chunk.char_start + start,
        char_end=chunk.char_start + end,
        quote=passage_text(hit)[start:end],
        url=chunk_url(chunk.chunk_id),
    )


def check_markers(text: str, packed: Collection[int]) -> CheckedText:
    """Return a model's answer without the markers that name nothing it was shown, and its claims in order."""
    claims: list[Claim] = []
    unknown: list[int] = []
    kept: list[str] = []
    position = 0
    for found in _MARKERS.finditer(text):
        kept.append(text[position : found.start()])
        named = [int(number) for number in found[1].split(",")]
        known = [marker for marker in named if marker in packed]
        unknown.extend(marker for marker in named if marker not in packed)
        claims.extend(Claim(marker, _last_sentence("".join(kept))) for marker in known)
        kept.extend(f" [{marker}]" for marker in known)
        position = found.end()
    return CheckedText("".join([*kept, text[position:]]).strip(), tuple(claims), tuple(unknown))


def _last_sentence(text: str) -> str:
    """Return what a marker at the end of the text speaks for: the last sentence, without earlier markers."""
    plain = _MARKERS.sub("", text).rstrip()
    return re.split(r"(?<=[.!?])\s+", plain)[-1]
