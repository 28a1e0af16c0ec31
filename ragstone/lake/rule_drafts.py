"""Rules drafted from a profile, as DQDL. They hold on the rows they come from, with room for others like them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from ragstone.lake.profiles import ColumnProfile, TableProfile

# Of fewer rows, that a text takes few values or is unique may be chance.
_LEAST_ROWS: Final = 20
# Shorter texts of hexadecimal digits may be plain numbers.
_LEAST_HEX: Final = 16
# How far beyond what was seen a number may go.
_ROOM: Final = 2.0


def draft(table: TableProfile) -> str:
    """Return rules for a table as the text of a DQDL file."""
    rules = ["RowCount > 0", *(rule for column in table.columns for rule in column_rules(column, table.rows))]
    body = ",\n".join(f"    {rule}" for rule in rules)
    return (
        f"# Drafted from {table.rows} rows of {table.dataset}; read it before it is used.\n"
        f"# In conf/quality/{table.dataset}.warn.dqdl a rule that is not kept is told of. Rules about single rows\n"
        "# may stand in .rows.dqdl, which sets rows aside, rules about a batch in .gate.dqdl, which stops it.\n"
        f"Rules = [\n{body}\n]\n"
    )


def column_rules(column: ColumnProfile, rows: int) -> Iterator[str]:
    """Yield the rules that a column's values suggest; none where there are no values."""
    name = f'"{column.name}"'
    if column.distinct == 0:
        return
    if column.missing:
        # Rounded down, so that the rows that were profiled keep it.
        yield f"(RowCount < {_LEAST_ROWS}) or (Completeness {name} >= {_down(0.9 * (1 - column.missing / rows))})"
        return
    yield f"IsComplete {name}"
    if column.mean is not None:
        yield from _of_numbers(name, column)
    else:
        yield from _of_texts(name, column, rows)


def _of_texts(name: str, column: ColumnProfile, rows: int) -> Iterator[str]:
    if column.distinct == rows >= _LEAST_ROWS:
        yield f"IsUnique {name}"
    if column.hex_length is not None and column.hex_length >= _LEAST_HEX:
        yield f'ColumnValues {name} matches "^[0-9a-f]{{{column.hex_length}}}$"'
    elif column.values and rows >= _LEAST_ROWS and not any('"' in value or "\\" in value for value in column.values):
        values = ", ".join(f'"{value}"' for value in column.values)
        yield f"ColumnValues {name} in [{values}]"


def _of_numbers(name: str, column: ColumnProfile) -> Iterator[str]:
    lowest, highest, mean = column.lowest, column.highest, column.mean
    # Room by a factor means nothing around zero.
    if lowest is None or highest is None or mean is None or lowest < 0:
        return
    if lowest == highest and lowest.is_integer():
        yield f"ColumnValues {name} in [{int(lowest)}]"
        return
    yield f"ColumnValues {name} >= {_down(lowest / _ROOM)}"
    yield f"ColumnValues {name} <= {_up(highest * _ROOM)}"
    yield f"(RowCount < {_LEAST_ROWS}) or (Mean {name} >= {_down(mean / _ROOM)})"
    yield f"(RowCount < {_LEAST_ROWS}) or (Mean {name} <= {_up(mean * _ROOM)})"


def _down(number: float) -> str:
    return _written(math.floor(number) if number >= 100 else math.floor(number * 1000) / 1000)


def _up(number: float) -> str:
    return _written(math.ceil(number) if number >= 100 else math.ceil(number * 1000) / 1000)


def _written(number: float) -> str:
    """Return a number without an exponent, which DQDL does not know."""
    return f"{number:.3f}".rstrip("0").rstrip(".")
