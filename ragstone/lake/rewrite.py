"""Changing rows that are already written, which an append-only table refuses: for replays and purges alone.

A table is opened for rewriting by a commit to its properties and closed by another. A run that dies in between leaves
the table open but whole; `seal` closes it, and maintenance and every later rewrite do that first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from deltalake import DeltaTable

from ragstone.contracts.tables import TableSpec
from ragstone.lake.delta import open_table

_APPEND_ONLY: Final = "delta.appendOnly"


@contextmanager
def rewritable(root: Path, spec: TableSpec) -> Iterator[DeltaTable]:
    """Give a table whose rows may be deleted and replaced for the length of a block. Raises LookupError without one."""
    table = open_table(root, spec)
    if table is None:
        raise LookupError(f"there is no table {spec.name} to rewrite")
    _set_append_only(table, "false")
    try:
        yield table
    finally:
        seal(root, spec)


def seal(root: Path, spec: TableSpec) -> bool:
    """Make a table append-only again and return whether it was not; a missing table is left alone."""
    table = open_table(root, spec)
    return table is not None and _set_append_only(table, "true")


def _set_append_only(table: DeltaTable, value: str) -> bool:
    if table.metadata().configuration.get(_APPEND_ONLY) == value:
        return False
    table.alter.set_table_properties({_APPEND_ONLY: value})
    return True
