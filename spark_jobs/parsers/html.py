"""HTML, read as a stream of tags: no tree is built, so depth and size cost neither stack nor memory.

trafilatura was not chosen: it keeps what it takes for the article and drops the rest, and a document somebody gave us
is wanted whole. Left out here is only what a reader of the page would not see, and navigation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from lxml import etree

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Block, Page

_MAX_DEPTH: Final = 500
_MAX_ELEMENTS: Final = 500_000
_FEED_BYTES: Final = 65_536

_UNSEEN: Final = frozenset(
    ["script", "style", "template", "noscript", "svg", "canvas", "object", "iframe", "select", "datalist", "nav"]
)
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final = frozenset(
    [
        "address",
        "article",
        "aside",
        "blockquote",
        "body",
        "center",
        "details",
        "dialog",
        "div",
        "dl",
        "fieldset",
        "figcaption",
        "figure",
        "footer",
        "form",
        "header",
        "hgroup",
        "hr",
        "main",
        "ol",
        "p",
        "pre",
        "section",
        "summary",
        "table",
        "ul",
        "caption",
    ]
)
_LINES: Final = {"li": "- ", "tr": "", "br": "", "dt": "", "dd": "    "}
_CELLS: Final = frozenset(("td", "th"))
_KEEPING_LINES: Final = frozenset(("pre", "tr"))
# Inside these a paragraph is a line, or every list and table would fall apart.
_TIGHT: Final = frozenset(("li", "dd", "td", "th"))
_SPACE: Final = re.compile(r"\s+")
_XML_DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]*\?>")
_ISO_639_1: Final = re.compile(r"\s*([A-Za-z]{2})(?:[-_]|\s*$)")
_HIDING_STYLE: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)


def read_html(text: str) -> Page:
    """Return a page of the headings, paragraphs, lists, tables and preformatted text of an HTML document.

    Raises BadInputError for a document that is nested deeper or has more elements than any real page.
    """
    reader = _Reader()
    parser = etree.HTMLParser(target=reader, huge_tree=True, encoding="utf-8")
    content = _XML_DECLARATION.sub("", text).encode("utf-8")
    try:
        for start in range(0, len(content), _FEED_BYTES):
            parser.feed(content[start : start + _FEED_BYTES])
        parser.close()
    except etree.LxmlError as broken:
        raise BadInputError("the item is not readable as HTML", got=str(broken), wanted="an HTML document") from broken
    return Page(reader.blocks, title="".join(reader.title), language=reader.language)


class _Reader:
    """The target of lxml's parser: it is told of each tag and text in turn, and keeps the open block's pieces."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.title: list[str] = []
        self.language: str | None = None
        self._pieces: list[str] = []
        self._level: int | None = None
        self._keeps_lines = False
        self._depth = 0
        self._elements = 0
        self._unseen_at: int | None = None
        self._open = {"pre": 0, "title": 0, "a": 0, **dict.fromkeys(_TIGHT, 0)}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._count()
        if tag in self._open:
            self._open[tag] += 1
        if self._unseen_at is not None:
            return
        if tag in _UNSEEN or _is_hidden(attributes):
            self._unseen_at = self._depth
        elif tag == "html":
            self.language = _language(attributes)
        elif tag == "img":
            self._image(attributes)
        else:
            self._boundary(tag, opens=True)

    def end(self, tag: str) -> None:
        if self._unseen_at == self._depth:
            self._unseen_at = None
        elif self._unseen_at is None:
            self._boundary(tag, opens=False)
        if tag in self._open:
            self._open[tag] -= 1
        self._depth -= 1

    def data(self, text: str) -> None:
        if self._unseen_at is not None:
            return
        if self._open["title"]:
            self.title.append(text)
        elif self._open["pre"]:
            self._pieces.append(text)
        else:
            folded = _SPACE.sub(" ", text)
            self._pieces.append(folded.lstrip() if self._is_line_start() else folded)

    def close(self) -> None:
        self._end_block()

    def _count(self) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise BadInputError(
                "the HTML is nested too deeply or has too many elements",
                got=f"depth {self._depth}, {self._elements} elements",
                wanted=f"at most depth {_MAX_DEPTH} and {_MAX_ELEMENTS} elements",
            )

    def _boundary(self, tag: str, *, opens: bool) -> None:
        if tag in _HEADINGS and not self._is_tight():
            self._end_block()
            self._level = _HEADINGS[tag] if opens else None
        elif tag in _LINES:
            self._new_line(_LINES[tag] if opens else "")
        elif tag in _CELLS:
            self._pieces.append("" if opens else " | ")
        elif tag in _BLOCKS:
            self._block_boundary()
        self._keeps_lines |= opens and tag in _KEEPING_LINES

    def _block_boundary(self) -> None:
        if any(self._open[tag] for tag in _CELLS):
            # A paragraph in a cell does not end the cell's row.
            if self._pieces and not self._is_line_start():
                self._pieces.append(" ")
        elif self._is_tight():
            self._new_line("")
        else:
            self._end_block()

    def _new_line(self, prefix: str) -> None:
        # The bullet of an item that opens with a paragraph stays on the paragraph's line.
        if not self._is_line_start():
            self._pieces.append("\n")
        if prefix:
            self._pieces.append(prefix)

    def _is_line_start(self) -> bool:
        while self._pieces and not self._pieces[-1]:
            self._pieces.pop()
        return bool(self._pieces) and (self._pieces[-1] == "\n" or self._pieces[-1] in _LINES.values())

    def _is_tight(self) -> bool:
        return any(self._open[tag] for tag in _TIGHT)

    def _image(self, attributes: Mapping[str, str]) -> None:
        # As in Markdown: an image inside a link is a badge or a button.
        if not self._open["a"]:
            self._pieces.append(f" {attributes.get('alt', '')} ")

    def _end_block(self) -> None:
        lines = "".join(self._pieces).split("\n")
        text = "\n".join(line.removesuffix(" | ").rstrip() for line in lines if line.strip(" |") not in ("", "-"))
        self._pieces = []
        if text.strip():
            self.blocks.append(Block(text, self._level, self._keeps_lines))
        self._keeps_lines = False


def _is_hidden(attributes: Mapping[str, str]) -> bool:
    return "hidden" in attributes or _HIDING_STYLE.search(attributes.get("style", "")) is not None


def _language(attributes: Mapping[str, str]) -> str | None:
    found = _ISO_639_1.match(attributes.get("lang", ""))
    return found.group(1).lower() if found else None
