"""How a row of an event table travels in a Redis stream: one text field per column, in the table's order.

A text stands as it is, a timestamp as ISO 8601 with its offset, everything else as JSON. A null has no field, so an
entry that was written before a nullable column was added still reads.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from ragstone.contracts.tables import BOOLEAN, DOUBLE, INT, LONG, STRING, STRINGS, TIMESTAMP, TableSpec

# Checked here, because Arrow takes 1.5 for the integer 1.
_JSON_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    INT: (int,),
    LONG: (int,),
    DOUBLE: (int, float),
    BOOLEAN: (bool,),
    STRINGS: (list,),
}


def to_entry(spec: TableSpec, row: Mapping[str, Any]) -> dict[str, str]:
    """Return a row as the fields of a stream entry; a nullable column may be missing from the row."""
    return {name: _as_text(row[name]) for name in spec.column_names if row.get(name) is not None}


def from_entry(spec: TableSpec, entry: Mapping[str, str]) -> dict[str, Any]:
    """Return the row of a stream entry, with every column of the table.

    Raises ValueError for a field that is missing, not known or not of its column's type.
    """
    unknown = sorted(entry.keys() - set(spec.column_names))
    missing = [column.name for column in spec.columns if not column.nullable and column.name not in entry]
    if unknown or missing:
        raise ValueError(f"fields that are not known {unknown}, fields that are missing {missing}")
    return {column.name: _typed(column.type, entry.get(column.name)) for column in spec.columns}


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return value.isoformat() if isinstance(value, datetime) else json.dumps(value)


def _typed(type_: str, text: str | None) -> Any:
    if text is None or type_ == STRING:
        return text
    if type_ == TIMESTAMP:
        return _moment(text)
    value = json.loads(text)
    if type(value) not in _JSON_TYPES[type_]:
        raise ValueError(f"{text!r} is no {type_}")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return moment
