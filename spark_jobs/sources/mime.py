"""What kind an item is: told by its bytes; a name only tells one way of writing text from another."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import PurePosixPath
from typing import Final

from ragstone.runtime.errors import BadInputError
from spark_jobs.sources.encoding import detect_encoding

PLAIN, MARKDOWN, RESTRUCTURED, HTML = "text/plain", "text/markdown", "text/x-rst", "text/html"
CSV, JSONL, PARQUET = "text/csv", "application/jsonl", "application/vnd.apache.parquet"
PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
# A page of a web site, of which only what it is about is wanted; HTML that somebody gave us is wanted whole.
CRAWLED = "text/vnd.ragstone.crawled+html"

TEXT_KINDS: Final = frozenset((PLAIN, MARKDOWN, RESTRUCTURED, HTML, CSV, JSONL, CRAWLED))

_BY_SUFFIX: Final = {
    ".txt": PLAIN,
    ".text": PLAIN,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".rst": RESTRUCTURED,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".csv": CSV,
    ".tsv": CSV,
    ".jsonl": JSONL,
    ".ndjson": JSONL,
}
_HTML_START: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE
)
_PDF_START: Final = re.compile(rb"\A(?:\xef\xbb\xbf)?\s{0,64}%PDF-")
_ZIP_START: Final = b"PK\x03\x04"
_PARQUET_START: Final = b"PAR1"
_DOCX_PART: Final = "word/document.xml"


def mime_type(source_uri: str, content: bytes) -> str:
    """Return the MIME type of an item. A PDF, page or archive is what its bytes say, whatever it is called."""
    if _PDF_START.match(content[:128]):
        return PDF
    if content.startswith(_PARQUET_START):
        return PARQUET
    if content.startswith(_ZIP_START) and _is_docx(content):
        return DOCX
    if _HTML_START.match(content[:1024]):
        return HTML
    return _BY_SUFFIX.get(PurePosixPath(source_uri).suffix.lower(), PLAIN)


def check_readable(content: bytes, mime_type: str) -> None:
    """Raise BadInputError for content that no parser of its kind could read, so that it is set aside at once."""
    if mime_type in TEXT_KINDS:
        detect_encoding(content)
    elif mime_type == DOCX and not zipfile.is_zipfile(io.BytesIO(content)):
        raise BadInputError("the Word document is cut short", got="no table of its parts", wanted="the whole file")


def _is_docx(content: bytes) -> bool:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            return _DOCX_PART in parts.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError):
        # Of an archive that was cut short the table of contents is missing, but each part names itself.
        return _DOCX_PART.encode() in content
