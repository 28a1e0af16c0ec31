"""What the line-oriented readers share: joining wrapped lines, and taking code out of them whole.

Markdown and reStructuredText are read line by line rather than through a document tree: memory stays a small multiple
of the text, markup that is broken or unknown costs no words, and headings are found where they stand.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Final

LIST_ITEM: Final = re.compile(r"\s*(?:[-*+\u2022]|\d{1,3}[.)]|#\.)\s+\S")


def is_list_item(line: str) -> bool:
    """Return whether a line begins a list item."""
    return LIST_ITEM.match(line) is not None


def join_wrapped(lines: Sequence[str]) -> str:
    """Return the lines of a paragraph with soft wraps undone; list items and table rows keep lines of their own."""
    joined: list[str] = []
    for line in lines:
        if joined and not _begins_line(line) and not _is_table_row(joined[-1]):
            joined[-1] = f"{joined[-1].rstrip()} {line.strip()}"
        else:
            joined.append(line.rstrip())
    return textwrap.dedent("\n".join(joined))


def verbatim(lines: Sequence[str]) -> str:
    """Return lines of code as they stand, without the indentation they share."""
    return textwrap.dedent("\n".join(lines))


def indentation(line: str) -> int:
    """Return how many spaces a line begins with."""
    return len(line) - len(line.lstrip(" "))


def _begins_line(line: str) -> bool:
    return is_list_item(line) or _is_table_row(line)


def _is_table_row(line: str) -> bool:
    return line.lstrip().startswith("|")
