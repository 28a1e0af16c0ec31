"""Markdown: blocks line by line, then inline markup taken off, code left as it is."""

from __future__ import annotations

import re
from typing import Final

from spark_jobs.parsers.document import Block, Page
from spark_jobs.parsers.inline import without_markup
from spark_jobs.parsers.lines import indentation, is_list_item, join_wrapped, verbatim

_FENCE: Final = re.compile(r" *(`{3,}|~{3,})([^`]*)$")
_HASHES: Final = re.compile(r" {0,3}(#{1,6})(?: (.*))?$")
_CLOSING_HASHES: Final = re.compile(r"(?:^| )#+ *$")
_UNDERLINE: Final = re.compile(r" {0,3}(?:(=+)|-{2,}) *$")
_RULE: Final = re.compile(r" {0,3}([-*_])(?: *\1){2,} *$")
_HTML_HEADING: Final = re.compile(r"\s*<h([1-6])\b[^<>]*>(.*)</h\1>\s*$", re.IGNORECASE)
_LINK_TARGET: Final = re.compile(r" {0,3}\[[^\]\[^][^\]\[]*\]: *\S")
_TABLE_RULE: Final = re.compile(r"\s*\|?[ :]*-[-: ]*(?:\|[-: ]*)+$")
_QUOTE: Final = re.compile(r"\A {0,3}(?:> ?)+")
_FRONT_MATTER: Final = re.compile(r"---\n((?:(?:[\w-]+:|[ #-])[^\n]*\n|\n)*?)(?:---|\.\.\.)(?:\n|$)")
_FRONT_TITLE: Final = re.compile(r"^title: *(.+)$", re.MULTILINE | re.IGNORECASE)
_CODE_INDENT: Final = 4
_LIST_INDENT: Final = 2  # the least that a second paragraph of a list item has


def read_markdown(text: str) -> Page:
    """Return a page of the blocks of normalised Markdown. YAML front matter is taken off; its title is the page's."""
    front = _FRONT_MATTER.match(text)
    if front is None:
        return Page(_Reader().read(text))
    title = _FRONT_TITLE.search(front.group(1))
    return Page(_Reader().read(text[front.end() :]), title=title.group(1).strip(" '\"") if title else None)


class _Reader:
    """Collects blocks from lines; `_lines` are those of the paragraph or code block that is open."""

    def __init__(self) -> None:
        self._blocks: list[Block] = []
        self._lines: list[str] = []
        self._fence: str | None = None
        self._in_list = False
        self._in_comment = False

    def read(self, text: str) -> list[Block]:
        lines = text.split("\n")
        # A comment that is never closed is no comment: it must not swallow the rest of the document.
        last_close = max((number for number, line in enumerate(lines) if "-->" in line), default=-1)
        for number, line in enumerate(lines):
            if self._fence is not None:
                self._code_line(line)
            else:
                self._line(self._without_comment(line, closes=number < last_close))
        self._end_block()
        return self._blocks

    def _code_line(self, line: str) -> None:
        stripped = line.strip()
        if self._fence and stripped.startswith(self._fence) and not stripped.strip(self._fence[0]):
            self._add(verbatim(self._lines), keeps_lines=True)
            self._fence = None
        else:
            self._lines.append(line)

    def _line(self, line: str) -> None:
        fence = _FENCE.match(line)
        if fence is not None:
            self._end_block()
            self._fence = fence.group(1)
        elif not line.strip() or (_RULE.match(line) and not self._is_underline(line)):
            self._end_block()
        elif not (self._heading(line) or _LINK_TARGET.match(line) or _TABLE_RULE.match(line)):
            self._text_line(line)

    def _text_line(self, line: str) -> None:
        line = _QUOTE.sub("", line)
        if is_list_item(line):
            self._in_list = True
        elif not self._lines and indentation(line) < _LIST_INDENT:
            self._in_list = False
        self._lines.append(line)

    def _heading(self, line: str) -> bool:
        if self._is_underline(line):
            level = 1 if "=" in line else 2
            heading = join_wrapped(self._lines)
            self._lines = []
        elif found := _HASHES.match(line):
            level, heading = len(found.group(1)), _CLOSING_HASHES.sub("", found.group(2) or "")
        elif found := _HTML_HEADING.match(line):
            level, heading = int(found.group(1)), found.group(2)
        else:
            return False
        self._end_block()
        self._blocks.append(Block(without_markup(heading), level))
        return True

    def _is_underline(self, line: str) -> bool:
        if not self._lines or not _UNDERLINE.match(line):
            return False
        return not is_list_item(self._lines[-1]) and not self._lines[-1].lstrip().startswith("|")

    def _without_comment(self, line: str, *, closes: bool) -> str:
        """Return what of a line is outside of comments; `closes` says that one left open is closed later."""
        last_close = len(line) if closes else line.rfind("-->")
        visible: list[str] = []
        at = 0
        while at < len(line):
            if self._in_comment:
                end = line.find("-->", at)
                self._in_comment, at = end < 0, len(line) if end < 0 else end + 3
            else:
                start = line.find("<!--", at)
                visible.append(line[at : len(line) if start < 0 else start])
                self._in_comment = 0 <= start < last_close
                at = len(line) if start < 0 else start + 4
        return "".join(visible)

    def _end_block(self) -> None:
        if not self._lines:
            return
        is_code = self._fence is not None or (
            not self._in_list and all(indentation(line) >= _CODE_INDENT for line in self._lines)
        )
        is_table = all(line.lstrip().startswith("|") for line in self._lines)
        text = verbatim(self._lines) if is_code else without_markup(join_wrapped(self._lines))
        self._add(text, keeps_lines=is_code or is_table)

    def _add(self, text: str, *, keeps_lines: bool) -> None:
        self._blocks.append(Block(text, keeps_lines=keeps_lines))
        self._lines = []
