"""reStructuredText: blocks line by line. Directives unknown to docutils keep their words here.

docutils itself was not chosen: without Sphinx it drops the content of directives it does not know, and its tree keeps
no offsets.
"""

from __future__ import annotations

import re
from typing import Final

from spark_jobs.parsers.document import Block, Page
from spark_jobs.parsers.inline import around_code
from spark_jobs.parsers.lines import indentation, is_list_item, join_wrapped, verbatim

_ADORNMENT: Final = re.compile(r"([!-/:-@\[-`{-~])\1{2,}$")
_EXPLICIT: Final = re.compile(r" *\.\.(?: +(.*))?$")
_DIRECTIVE: Final = re.compile(r"(?:\|[^|]+\| +)?([A-Za-z][\w:.+-]*?) ?::(?: +(.*))?$")
_TARGET: Final = re.compile(r"(?:_[^:]+|__): *\S*|_`[^`]+`:|__ ")
_NOTE: Final = re.compile(r"\[([^\]]+)\] +(.*)$")
_OPTION: Final = re.compile(r" *:[\w -]+:(?: .*)?$")
_GRID: Final = re.compile(r" *[+|]?[-=+| ]*[-=]{2,}[-=+| ]*$")
_CODE_DIRECTIVES: Final = frozenset(
    [
        "code",
        "code-block",
        "sourcecode",
        "parsed-literal",
        "literalinclude",
        "highlight",
        "doctest",
        "testcode",
        "math",
        "productionlist",
    ]
)
_SILENT_DIRECTIVES: Final = frozenset(
    [
        "image",
        "toctree",
        "include",
        "raw",
        "contents",
        "meta",
        "module",
        "currentmodule",
        "index",
        "automodule",
        "autoclass",
        "autofunction",
        "automethod",
        "default-role",
        "role",
        "highlight",
        "sectnum",
        "tabularcolumns",
    ]
)
_CODE: Final = re.compile(r"``((?:[^`\n]|`(?!`))+)``")
_SUBSTITUTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"(?::[A-Za-z][\w:.+-]*:)?`([^`<\n]+?) *<[^<>`\n]*>`_{0,2}"), r"\1"),
    (re.compile(r":[A-Za-z][\w:.+-]*:`[~!]?([^`\n]+)`"), r"\1"),
    (re.compile(r"`([^`\n]+)`_{0,2}"), r"\1"),
    (re.compile(r"\*\*(?=[^\s*])([^*\n]++)\*\*"), r"\1"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]++)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)\|(?=[^\s|])([^|\n]+)(?<=\S)\|_{0,2}(?!\w)"), r"\1"),
    (re.compile(r"\\(\S)"), r"\1"),
)


def read_restructured(text: str) -> Page:
    """Return a page of the blocks of normalised reStructuredText."""
    return Page(_Reader(text.split("\n")).read())


class _Reader:
    """Walks the lines once; `_styles` are the adornments seen so far, and their order makes the levels."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0
        self._blocks: list[Block] = []
        self._styles: list[tuple[str, bool]] = []

    def read(self) -> list[Block]:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line.strip():
                self._at += 1
            elif not (self._heading() or self._explicit(line)):
                self._paragraph()
        return self._blocks

    def _heading(self) -> bool:
        first, second, third = (self._line(self._at + offset) for offset in range(3))
        if _ADORNMENT.match(first) and second.strip() and first == third:
            self._add_heading(second, (first[0], True))
            self._at += 3
        elif (
            not first.startswith(" ") and _ADORNMENT.match(second) and len(second) >= len(first) and not _is_grid(first)
        ):
            self._add_heading(first, (second[0], False))
            self._at += 2
        elif _ADORNMENT.match(first) and not second.strip():
            self._at += 1  # a transition
        else:
            return False
        return True

    def _add_heading(self, title: str, style: tuple[str, bool]) -> None:
        if style not in self._styles:
            self._styles.append(style)
        self._blocks.append(Block(_without_markup(title.strip()), self._styles.index(style) + 1))

    def _explicit(self, line: str) -> bool:
        """Read what begins with two dots: a directive, a target, a note or a comment."""
        found = _EXPLICIT.match(line)
        if found is None:
            return False
        self._at += 1
        content = found.group(1) or ""
        if directive := _DIRECTIVE.match(content):
            self._directive(directive.group(1).lower(), directive.group(2) or "", indentation(line))
        elif note := _NOTE.match(content):
            self._blocks.append(Block(_without_markup(join_wrapped([note.group(2), *self._paragraph_lines()]))))
        elif _TARGET.match(content):
            pass
        else:
            self._indented(indentation(line))  # a comment
        return True

    def _directive(self, name: str, argument: str, margin: int) -> None:
        while _OPTION.match(self._line(self._at)) and indentation(self._line(self._at)) > margin:
            self._at += 1
        if name in _SILENT_DIRECTIVES:
            self._indented(margin)
        elif name in _CODE_DIRECTIVES:
            self._blocks.append(Block(verbatim(self._indented(margin)), keeps_lines=True))
        elif argument and name != "figure":
            # What a directive holds is ordinary text: it is read on, as the paragraphs that follow.
            self._blocks.append(Block(_without_markup(join_wrapped([argument, *self._paragraph_lines()]))))

    def _paragraph(self) -> None:
        margin = indentation(self._lines[self._at])
        found = self._paragraph_lines()
        lines = [line for line in found if not _is_grid(line)]
        if not lines:
            return
        opens_literal = lines[-1].endswith("::")
        if opens_literal:
            lines[-1] = lines[-1].removesuffix("::").rstrip() + ("" if lines[-1].endswith(" ::") else ":")
        # Grids are what rows stand between; without them wrapped lines are one.
        is_table = len(lines) < len(found)
        text = _without_markup(verbatim(lines)) if is_table else _paragraph_text(lines, margin)
        self._blocks.append(Block(text, keeps_lines=is_table or lines[0].lstrip().startswith(">>> ")))
        if opens_literal:
            self._blocks.append(Block(verbatim(self._indented(margin)), keeps_lines=True))

    def _paragraph_lines(self) -> list[str]:
        lines: list[str] = []
        while (line := self._line(self._at)).strip() and not (lines and _EXPLICIT.match(line)):
            lines.append(line)
            self._at += 1
            if self._begins_heading():
                break
        return lines

    def _begins_heading(self) -> bool:
        line, following = self._line(self._at), self._line(self._at + 1)
        return (
            bool(line.strip()) and bool(_ADORNMENT.match(line)) and line == self._line(self._at + 2) and bool(following)
        )

    def _indented(self, margin: int) -> list[str]:
        """Take the lines that stand deeper than `margin`, blank ones between them included."""
        start = self._at
        while self._at < len(self._lines) and (
            not self._line(self._at).strip() or indentation(self._line(self._at)) > margin
        ):
            self._at += 1
        return self._lines[start : self._at]

    def _line(self, number: int) -> str:
        return self._lines[number] if number < len(self._lines) else ""


def _paragraph_text(lines: list[str], margin: int) -> str:
    if lines[0].lstrip().startswith(">>> "):
        return verbatim(lines)
    if margin and not is_list_item(lines[0]):
        # Quoted, or an example that nothing marks as code: its lines may matter.
        return _without_markup(verbatim(lines))
    is_definition = len(lines) > 1 and indentation(lines[1]) > margin and not is_list_item(lines[0])
    if is_definition:
        return _without_markup(f"{lines[0].strip()}\n{join_wrapped(lines[1:])}")
    return _without_markup(join_wrapped(lines))


def _is_grid(line: str) -> bool:
    return _GRID.match(line) is not None and not is_list_item(line)


def _without_markup(text: str) -> str:
    return around_code(text, _CODE, _plain)


def _plain(text: str) -> str:
    for pattern, replacement in _SUBSTITUTIONS:
        text = pattern.sub(replacement, text)
    return text
