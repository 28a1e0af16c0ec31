"""What kind of text an item is, told by its first bytes and its name: parsers are chosen by it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from spark_jobs.sources.encoding import detect_encoding

PLAIN, MARKDOWN, RESTRUCTURED, HTML = "text/plain", "text/markdown", "text/x-rst", "text/html"

TEXT_KINDS: Final = frozenset((PLAIN, MARKDOWN, RESTRUCTURED, HTML))

_BY_SUFFIX: Final = {
    ".txt": PLAIN,
    ".text": PLAIN,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".rst": RESTRUCTURED,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
}
_HTML_START: Final = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE
)


def mime_type(source_uri: str, content: bytes) -> str:
    """Return the MIME type of an item of text. A page that opens as HTML is HTML whatever it is called."""
    if _HTML_START.match(content[:1024]):
        return HTML
    return _BY_SUFFIX.get(PurePosixPath(source_uri).suffix.lower(), PLAIN)


def check_readable(content: bytes, mime_type: str) -> None:
    """Raise BadInputError for content that no parser of its kind could read, so that it is set aside at once."""
    if mime_type in TEXT_KINDS:
        detect_encoding(content)
