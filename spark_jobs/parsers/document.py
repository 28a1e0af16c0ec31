"""What every reader yields, and how its blocks become one text whose headings have exact offsets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ragstone.text.normalise import normalise

_BETWEEN_BLOCKS = "\n\n"
_MAX_TITLE_CHARS = 300


@dataclass(frozen=True)
class Block:
    """A paragraph, list, table or code block as read; with a `level` from 1 (the highest) it is a heading.

    `keeps_lines` says that its lines are rows of a table or lines of code, which mean little in halves.
    """

    text: str
    level: int | None = None
    keeps_lines: bool = False


@dataclass(frozen=True)
class Page:
    """What a reader found in one item: its blocks in reading order, its own title and language where it names them."""

    blocks: Iterable[Block]
    title: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class Heading:
    """A heading: where it begins in the text, in code points, and its level from 1 (the highest)."""

    char_start: int
    level: int
    title: str


@dataclass(frozen=True)
class ParsedDocument:
    """A document as silver keeps it. `text` is normalised; blocks stand apart by one blank line.

    `kept_lines` has [start, end) of the blocks that keep their lines, in order, in code points.
    """

    title: str
    text: str
    headings: tuple[Heading, ...]
    language: str | None = None
    kept_lines: tuple[tuple[int, int], ...] = ()


def assemble(page: Page, fallback_title: str) -> ParsedDocument:
    """Return a page as one normalised text. Its title is its own, else its first top heading, else the fallback."""
    pieces: list[str] = []
    headings: list[Heading] = []
    kept_lines: list[tuple[int, int]] = []
    position = 0
    for block in page.blocks:
        text = normalise(block.text) if block.level is None else one_line(block.text)
        if not text:
            continue
        if block.level is not None:
            headings.append(Heading(position, block.level, text))
        elif block.keeps_lines:
            kept_lines.append((position, position + len(text)))
        pieces.append(text)
        position += len(text) + len(_BETWEEN_BLOCKS)
    title = one_line(page.title or "") or _first_top_heading(headings) or fallback_title
    text = _BETWEEN_BLOCKS.join(pieces)
    return ParsedDocument(title[:_MAX_TITLE_CHARS], text, tuple(headings), page.language, tuple(kept_lines))


def one_line(text: str) -> str:
    """Return text normalised on a single line."""
    return " ".join(normalise(text).split())


def _first_top_heading(headings: list[Heading]) -> str | None:
    top = min((heading.level for heading in headings), default=None)
    return next((heading.title for heading in headings if heading.level == top), None)
