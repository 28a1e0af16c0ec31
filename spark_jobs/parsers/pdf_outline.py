"""The headings of a PDF, told by its outline (its bookmarks). Nothing is guessed from fonts or positions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import Destination

_MAX_ENTRIES: Final = 20_000
_MAX_LEVEL: Final = 6
_NUMBER: Final = re.compile(r"^(?:(?:\d+|[A-Z]|[IVX]+)(?:\.\d+)*[.)]?\s+)?")
_NOT_A_LETTER: Final = re.compile(r"[\W_]+")


def outline_headings(reader: PdfReader) -> list[dict[str, int]]:
    """Return, for each page, the keys of the headings on it and their levels from 1; see `heading_key`.

    A broken outline costs headings, not the text.
    """
    pages: list[dict[str, int]] = [{} for _ in reader.pages]
    try:
        for entry, level in islice(_entries(reader.outline), _MAX_ENTRIES):
            page = reader.get_destination_page_number(entry)
            key = heading_key(entry.title or "")
            if page is not None and 0 <= page < len(pages) and key:
                pages[page].setdefault(key, min(level, _MAX_LEVEL))
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return pages
    return pages


def heading_key(line: str) -> str:
    """Return what a line and its entry in the outline have in common: letters and digits, without a section number."""
    return _NOT_A_LETTER.sub("", _NUMBER.sub("", line.strip())).casefold()


def _entries(outline: Sequence[Any]) -> Iterator[tuple[Destination, int]]:
    """Yield the entries in reading order with their levels; what is below an entry follows it as a list."""
    stack = [(iter(outline), 1)]
    while stack:
        entries, level = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, list):
            stack.append((iter(entry), level + 1))
        else:
            yield entry, level
