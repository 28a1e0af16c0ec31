"""The one way from a landed item to a document: decode, read by format, normalise, tell the language."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

from ragstone.contracts.landed_record import record_mime_type
from ragstone.runtime.settings import ParsingSettings
from ragstone.text.language import detect_language
from ragstone.text.normalise import NORMALISER_VERSION, normalise
from spark_jobs.parsers.document import Page, ParsedDocument, assemble
from spark_jobs.parsers.html import read_html
from spark_jobs.parsers.main_content import read_main_content
from spark_jobs.parsers.markdown import read_markdown
from spark_jobs.parsers.plain import read_plain
from spark_jobs.parsers.record import read_record
from spark_jobs.parsers.restructured import read_restructured
from spark_jobs.parsers.sandbox import read_sandboxed
from spark_jobs.parsers.tables import read_csv, read_jsonl
from spark_jobs.sources.encoding import decode
from spark_jobs.sources.mime import CRAWLED, CSV, DOCX, HTML, JSONL, MARKDOWN, PARQUET, PDF, PLAIN, RESTRUCTURED


@dataclass(frozen=True)
class Parser:
    """A reader of one format, from bytes. Its `version` is raised when it would read the same bytes differently."""

    name: str
    version: str
    read: Callable[[bytes, ParsingSettings], Page]

    @property
    def full_version(self) -> str:
        """Return what silver rows record: the reader's version and that of the normalisation."""
        return f"{self.version}+n{NORMALISER_VERSION}"


def _normalised(read: Callable[[str], Page]) -> Callable[[str], Page]:
    """Return a reader of lines that is given plain line breaks and spaces, whatever the item had."""
    return lambda text: read(normalise(text))


def _decoded(read: Callable[[str], Page]) -> Callable[[bytes, ParsingSettings], Page]:
    return lambda content, _limits: read(decode(content))


def _bounded(read: Callable[[str, int], Page]) -> Callable[[bytes, ParsingSettings], Page]:
    return lambda content, limits: read(decode(content), limits.max_unpacked_bytes)


def _record(read: Callable[[str], Page]) -> Callable[[bytes, ParsingSettings], Page]:
    return lambda content, _limits: read_record(content, read)


_TEXT_READERS: Final = {
    PLAIN: ("plain", "1", _normalised(read_plain)),
    MARKDOWN: ("markdown", "1", _normalised(read_markdown)),
    RESTRUCTURED: ("restructured", "2", _normalised(read_restructured)),
    HTML: ("html", "2", read_html),
    CRAWLED: ("main-content", "1", read_main_content),
}
PARSERS: Final = {
    **{kind: Parser(name, version, _decoded(read)) for kind, (name, version, read) in _TEXT_READERS.items()},
    **{
        record_mime_type(kind): Parser(f"record-{name}", version, _record(read))
        for kind, (name, version, read) in _TEXT_READERS.items()
    },
    CSV: Parser("csv", "1", _bounded(read_csv)),
    JSONL: Parser("jsonl", "1", _bounded(read_jsonl)),
    PARQUET: Parser("parquet", "1", partial(read_sandboxed, "parquet")),
    PDF: Parser("pdf", "1", partial(read_sandboxed, "pdf")),
    DOCX: Parser("docx", "1", partial(read_sandboxed, "docx")),
}


_DEFAULT_LIMITS: Final = ParsingSettings()


def parser_of(mime_type: str) -> Parser:
    """Return the parser of a MIME type; text of an unknown kind is read as plain text."""
    return PARSERS.get(mime_type, PARSERS[PLAIN])


def parse(content: bytes, mime_type: str, source_uri: str, limits: ParsingSettings = _DEFAULT_LIMITS) -> ParsedDocument:
    """Return a landed item as a document; without a title of its own it is called by its file name.

    Raises BadInputError for bytes that are no text, that no real document of their format would hold, or whose reading
    takes more than `limits`.
    """
    page = parser_of(mime_type).read(content, limits)
    document = assemble(page, fallback_title=unquote(PurePosixPath(source_uri).stem) or source_uri)
    return replace(document, language=document.language or detect_language(document.text))
