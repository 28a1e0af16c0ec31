"""Values of an incremental column as versions of items: kept with their type, and compared as what they are.

A version also says under which settings its row was read: a greatest value tells only of rows that were read alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

_READERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "int": int,
    "float": float,
    "decimal": Decimal,
    "date": date.fromisoformat,
    "time": datetime.fromisoformat,
    "text": str,
}
# A database without strict types may hold several in one column. Any landed value is safe to go on from, because rows
# past the greatest are past it too; which one is only a matter of how many rows are read again.
_ORDER: Final = {"int": 0, "float": 0, "decimal": 0, "date": 1, "time": 2, "text": 3}


def version_of(value: Any, read_as: str) -> str | None:
    """Return the version of a row with this value, read under settings that are called `read_as` (without a space).

    None for a row without a value, or with one that has no place in an order, such as NaN. Raises TypeError for a value
    of a type that cannot be an increment.
    """
    if value is None or (isinstance(value, float | Decimal) and not math.isfinite(value)):
        return None
    return f"{read_as} {_kind(value)} {_told(value)}"


def greatest(versions: Iterable[str | None], read_as: str) -> Any:
    """Return the greatest value among versions of rows that were read under these settings, in its type, or None."""
    values = [_value_of(version) for version in versions if version and version.startswith(f"{read_as} ")]
    return max(values, key=_place, default=None)


def _value_of(version: str) -> Any:
    _, kind, value = version.split(" ", 2)
    return _READERS[kind](value)


def _place(value: Any) -> tuple[int, Any]:
    if isinstance(value, datetime) and value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return _ORDER[_kind(value)], value


def _kind(value: Any) -> str:
    # A datetime is a date too, and a truth value a number.
    kinds = {datetime: "time", date: "date", int: "int", float: "float", Decimal: "decimal", str: "text"}
    for kind, name in kinds.items():
        if isinstance(value, kind):
            return name
    raise TypeError(f"a value of type {type(value).__name__}")


def _told(value: Any) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return str(int(value) if isinstance(value, int) else value)
