"""Records (rows of a table, JSON objects) as items: which columns make the document is told by the settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from ragstone.contracts.landed_record import landed_record, record_mime_type
from ragstone.runtime.errors import BadInputError
from ragstone.runtime.source_settings import RecordColumns
from spark_jobs.sources.connector import SourceItem


def record_item(record: Mapping[str, Any], columns: RecordColumns, locator: str, **facts: Any) -> SourceItem:
    """Return the item that a record is; `facts` are further fields of it, such as its version.

    A record that cannot be taken in, such as one without a text, comes back as an item with that refusal. Raises
    BadInputError for a record without an id: there is nothing to call it.
    """
    uri = required_text(record, columns.id)
    try:
        return SourceItem(**{**_told(record, columns), "source_uri": uri, "locator": locator, **facts})
    except BadInputError as bad:
        return SourceItem(**{"source_uri": uri, "locator": locator, "refusal": bad, **facts})


def _told(record: Mapping[str, Any], columns: RecordColumns) -> dict[str, Any]:
    texts = [text for name in columns.text if (text := column_text(record, name))]
    if not texts:
        raise BadInputError("a record has no text", got="nothing in " + ", ".join(columns.text), wanted="a text")
    title = None if columns.title is None else column_text(record, columns.title)
    kept = {name: text for name in columns.metadata if (text := column_text(record, name)) is not None}
    return {
        "content": landed_record(title, "\n\n".join(texts)),
        "mime_type": record_mime_type(columns.text_type),
        "metadata": kept,
        "modified_at": None if columns.modified_at is None else moment(record, columns.modified_at),
    }


def column_value(record: Mapping[str, Any], name: str) -> Any:
    """Return a column's value, None when it is not there. `a.b` reaches into nested objects; a whole name wins."""
    if name in record:
        return record[name]
    found: Any = record
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def column_text(record: Mapping[str, Any], name: str) -> str | None:
    """Return a column as text: numbers and truth values as in JSON, times in ISO 8601.

    Raises BadInputError for lists, objects and bytes, and for half of a surrogate pair.
    """
    value = column_value(record, name)
    if value is None or isinstance(value, str):
        text = value
    elif isinstance(value, datetime | date):
        text = value.isoformat()
    elif isinstance(value, Mapping | list | tuple | bytes):
        raise BadInputError(f"{name} is no single value", got=type(value).__name__, wanted="a text or a number")
    else:
        text = json.dumps(value, default=str).strip('"')
    if text is not None and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise BadInputError(f"{name} is not Unicode text", got="half of a surrogate pair", wanted="whole characters")
    return text


def required_text(record: Mapping[str, Any], name: str) -> str:
    """Return a column as text. Raises BadInputError when there is none."""
    text = column_text(record, name)
    if not text:
        raise BadInputError(f"a record has no {name}", got=text, wanted="the id of its document")
    return text


def moment(record: Mapping[str, Any], name: str) -> datetime:
    """Return a column as a time; one without a zone is taken for UTC. Raises BadInputError."""
    value = column_value(record, name)
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(required_text(record, name))
    except ValueError as wrong:
        raise BadInputError(f"{name} is no time", got=value, wanted="ISO 8601, such as 2026-01-31T12:00:00Z") from wrong
    return found if found.tzinfo else found.replace(tzinfo=UTC)
