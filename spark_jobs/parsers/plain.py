"""Plain text: paragraphs stand apart by blank lines; there are no headings."""

from __future__ import annotations

from spark_jobs.parsers.document import Block, Page


def read_plain(text: str) -> Page:
    """Return a page of the paragraphs of normalised text; lines stay as they are."""
    return Page(Block(paragraph) for paragraph in text.split("\n\n"))
