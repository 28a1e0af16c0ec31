"""The form in which a record (a row, a message, a pushed document) is landed: its title and text, and nothing else.

Equal titles and texts give equal bytes, so a record whose other columns changed has the content it had.
"""

from __future__ import annotations

import json


def landed_record(title: str | None, text: str) -> bytes:
    """Return a record's bytes for the landing zone. Raises UnicodeEncodeError for half of a surrogate pair."""
    record = {"text": text} if title is None else {"text": text, "title": title}
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")


def record_mime_type(text_type: str) -> str:
    """Return the MIME type of a landed record whose text is written as `text_type`, such as `text/markdown`.

    It has no parameter: rules and parsers tell kinds apart by one plain name.
    """
    return f"application/vnd.ragstone.record.{text_type.rpartition('/')[2]}+json"
