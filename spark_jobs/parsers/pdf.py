"""PDF: the text layer page by page, with paragraphs that run over a page's end put together again.

`pdftotext`, where it is on the PATH, reads what pypdf cannot: broken files and fonts without a map to Unicode.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Final

from pypdf import PageObject, PdfReader
from pypdf.errors import PyPdfError

from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.document import Block, Page
from spark_jobs.parsers.lines import is_list_item
from spark_jobs.parsers.pdf_outline import heading_key, outline_headings

_PDFTOTEXT: Final = "pdftotext"
# What extractors give for glyphs without a meaning: replacement characters, private use, glyph numbers.
_UNMAPPED: Final = re.compile(r"[\ufffd\ue000-\uf8ff\x00-\x08]|/g\d+|/uni[0-9A-F]{4}|\(cid:\d+\)")
_MAX_UNMAPPED_SHARE: Final = 0.1
_PAGE_NUMBER: Final = re.compile(r"\W*(?:page|seite|p\.)?\s*[\divxlc]+(?:\s*(?:/|of|von)\s*\d+)?\W*", re.IGNORECASE)
_HYPHENATED: Final = re.compile(r"(\w)[-\u00ad]$")
_COLUMNS: Final = re.compile(r"\S(?: {3,}|\t)\S")
_COLUMN_GAP: Final = re.compile(r" {3,}|\t")
# Cells of a table are short, lines of a text in columns are not.
_LONG_CELL_CHARS: Final = 25
_ENDS_SENTENCE: Final = re.compile(r"[.!?:;\u2026][\"'\u201d\u2019)\]]*$")
# A header has to be on at least this many pages, and on this share of them, to be taken for one.
_REPEATED_PAGES: Final = 3
_REPEATED_SHARE: Final = 0.6
# Letters that were drawn as one glyph; normalisation leaves them, and no question spells them so.
_LIGATURES: Final = str.maketrans(
    {"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st"}
)
_NO_TITLE: Final = re.compile(
    r"microsoft (?:word|powerpoint|excel) - |untitled\b|document ?\d*$|.*\.\w{2,4}$", re.IGNORECASE
)


def read_pdf(content: bytes) -> Page:
    """Return a page of the paragraphs and table rows of a PDF, without running headers, footers and page numbers.

    Headings are the lines that its outline names. Raises BadInputError for a file that is no PDF, is encrypted, or has
    no text that can be read.
    """
    pages, title, headings, reason = _by_pypdf(content)
    if reason is not None or not _is_readable(pages):
        pages = _by_pdftotext(content) or pages
    if not any(page.strip() for page in pages):
        raise reason or BadInputError(
            "the PDF has no text layer", got=f"{len(pages)} pages without text", wanted="text; run it through OCR"
        )
    if not _is_readable(pages):
        raise BadInputError(
            "the PDF's text layer cannot be decoded", got="glyphs without a meaning", wanted="text; run it through OCR"
        )
    lines = [page.translate(_LIGATURES).split("\n") for page in pages]
    return Page(_blocks(_without_running_lines(lines), headings), title=title)


def _by_pypdf(content: bytes) -> tuple[list[str], str | None, list[dict[str, int]], BadInputError | None]:
    """Return the text of each page, the title, the headings of each page, and why it is not whole, where it is not."""
    pages: list[str] = []
    title, headings = None, list[dict[str, int]]()
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise BadInputError("the PDF is encrypted", got="a password is asked for", wanted="a PDF that opens freely")
        title, headings = _title(reader), outline_headings(reader)
        pages.extend(_text(page) for page in reader.pages)
    except BadInputError:
        raise
    except (PyPdfError, ValueError, LookupError, TypeError, AttributeError, RecursionError, ArithmeticError) as broken:
        # pypdf lets errors of every kind out where a file breaks its own promises.
        got = f"{type(broken).__name__}: {broken}"
        return pages, title, headings, BadInputError("the PDF cannot be read", got=got, wanted="a whole PDF")
    except ImportError as missing:
        raise BadInputError("the PDF is encrypted", got=missing, wanted="a PDF that opens freely") from missing
    return pages, title, headings, None


def _text(page: PageObject) -> str:
    """Return a page as it is laid out, where blank lines and gaps mean something; text in columns in reading order."""
    laid_out = page.extract_text(extraction_mode="layout")
    rows = [_COLUMN_GAP.split(line.strip()) for line in laid_out.split("\n") if _COLUMNS.search(line.strip())]
    in_columns = [cells for cells in rows if min(map(len, cells)) >= _LONG_CELL_CHARS]
    return page.extract_text() if len(in_columns) > len(rows) / 2 else laid_out


def _title(reader: PdfReader) -> str | None:
    title = reader.metadata.title if reader.metadata else None
    # Many programs put the name of their own file there.
    return None if title is None or not title.strip() or _NO_TITLE.match(title.strip()) else title


def _by_pdftotext(content: bytes) -> list[str]:
    """Return the text of each page as pdftotext reads it; none where it is not there or cannot."""
    program = shutil.which(_PDFTOTEXT)
    if program is None:
        return []
    done = subprocess.run([program, "-enc", "UTF-8", "-", "-"], input=content, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace").split("\f") if done.returncode == 0 else []


def _is_readable(pages: Sequence[str]) -> bool:
    text = "".join(pages)
    unmapped = sum(len(found) for found in _UNMAPPED.findall(text))
    return unmapped <= len(text) * _MAX_UNMAPPED_SHARE and bool(text.strip())


def _without_running_lines(pages: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the pages without their first and last lines where those repeat from page to page or are page numbers."""
    kept = [_trimmed(page) for page in pages]
    for at in (0, -1):
        edges = Counter(_pattern(page[at]) for page in kept if page)
        running = {line for line, count in edges.items() if count >= max(_REPEATED_PAGES, _REPEATED_SHARE * len(kept))}
        for number, page in enumerate(kept):
            if page and (_pattern(page[at]) in running or (len(kept) > 1 and _PAGE_NUMBER.fullmatch(page[at]))):
                del page[at]
                kept[number] = _trimmed(page)
    return kept


def _trimmed(page: Sequence[str]) -> list[str]:
    """Return the lines of a page from its first to its last that is not blank."""
    return "\n".join(line.rstrip() for line in page).strip("\n").split("\n") if any(map(str.strip, page)) else []


def _pattern(line: str) -> str:
    return re.sub(r"\d+", "#", line.strip())


def _blocks(pages: Iterable[Sequence[str]], headings: Sequence[Mapping[str, int]] = ()) -> list[Block]:
    """Return headings, paragraphs and tables.

    A blank line ends a paragraph; the end of a page does so after a whole sentence. `headings` has the levels of each
    page's headings, by key.
    """
    reading = _Reading()
    for page, levels in zip_longest(pages, headings):
        reading.turn_page()
        for line in map(str.strip, page or ()):
            reading.add(line, (levels or {}).get(heading_key(line)) if line else None)
    return reading.blocks()


class _Reading:
    """Blocks as their lines come: each a level, whether it is a table, and its lines."""

    def __init__(self) -> None:
        self._blocks: list[tuple[int | None, bool, list[str]]] = []
        self._is_open = False

    def blocks(self) -> list[Block]:
        return [
            Block("\n".join(lines) if is_table else _paragraph(lines), level, is_table)
            for level, is_table, lines in self._blocks
        ]

    def turn_page(self) -> None:
        self._is_open = self._is_open and not _ENDS_SENTENCE.search(self._blocks[-1][2][-1])

    def add(self, line: str, level: int | None) -> None:
        if level is not None:
            self._blocks.append((level, False, [line]))
        elif _COLUMNS.search(line):
            self._add_row(_COLUMN_GAP.sub(" | ", line))
        elif line and self._is_open and not is_list_item(line):
            self._blocks[-1][2].append(line)
        elif line:
            self._blocks.append((None, False, [line]))
        self._is_open = bool(line) and level is None and not _COLUMNS.search(line)

    def _add_row(self, row: str) -> None:
        """Add a row of a table, whose rows are the lines of one block, blank lines between them or not."""
        if self._blocks and self._blocks[-1][1]:
            self._blocks[-1][2].append(row)
        else:
            self._blocks.append((None, True, [row]))


def _paragraph(lines: Sequence[str]) -> str:
    pieces = [lines[0]]
    for line in lines[1:]:
        if not _HYPHENATED.search(pieces[-1]):
            pieces.append(" ")
        elif line[:1].islower():
            # "exam-" and "ple" are one word, "North-" and "South" are two.
            pieces[-1] = pieces[-1][:-1]
        pieces.append(line)
    return "".join(pieces)
