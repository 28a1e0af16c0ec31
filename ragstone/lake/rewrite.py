"""Changing rows that are already written, which an append-only table refuses: for replays and purges alone.

A table is opened for rewriting by a commit to its properties and sealed by another. What deltalake writes when it
deletes or updates has text in a Parquet type (`string_view`) that other readers of a lake cannot filter by, so sealing
writes such files once more. A run that dies in between leaves a mark beside the table, and whatever runs next, any step
of the pipeline included, seals the table before it reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from ragstone.contracts.tables import TableSpec
from ragstone.lake.catalog import present_tables
from ragstone.lake.delta import open_table

_APPEND_ONLY: Final = "delta.appendOnly"
_MARK: Final = ".rewriting-"


@contextmanager
def rewritable(root: Path, spec: TableSpec) -> Iterator[DeltaTable]:
    """Give a table whose rows may be deleted and replaced for the length of a block. Raises LookupError without one."""
    table = open_table(root, spec)
    if table is None:
        raise LookupError(f"there is no table {spec.name} to rewrite")
    mark = root / f"{_MARK}{spec.name}"
    mark.touch()
    _set_append_only(table, "false")
    try:
        yield table
    finally:
        seal(root, spec)
        mark.unlink(missing_ok=True)


def seal(root: Path, spec: TableSpec) -> bool:
    """Make a table readable by all and closed to rewriting; return whether it was not. A missing one is left alone."""
    table = open_table(root, spec)
    if table is None:
        return False
    has_views = any(map(_has_views, table.file_uris()))
    if has_views:
        # Unlike a compaction this writes every file anew, also one that stands alone.
        table.optimize.z_order([spec.keys[0]])
    return _set_append_only(table, "true") or has_views


def seal_interrupted(root: Path) -> list[str]:
    """Seal the tables that a run which died was rewriting, and return their names. Nobody else may be rewriting now."""
    marks = {path.name.removeprefix(_MARK): path for path in root.glob(f"{_MARK}*")} if root.is_dir() else {}
    if marks:
        for spec in present_tables(root):
            if spec.name in marks:
                seal(root, spec)
        for path in marks.values():
            path.unlink(missing_ok=True)
    return sorted(marks)


def _has_views(file: str) -> bool:
    return any(pa.types.is_string_view(type_) for type_ in _types(pq.read_schema(file.removeprefix("file://"))))


def _types(fields: pa.Schema | pa.DataType) -> Iterator[pa.DataType]:
    for number in range(len(fields) if isinstance(fields, pa.Schema) else fields.num_fields):
        type_ = fields.field(number).type
        yield type_
        yield from _types(type_)


def _set_append_only(table: DeltaTable, value: str) -> bool:
    if table.metadata().configuration.get(_APPEND_ONLY) == value:
        return False
    table.alter.set_table_properties({_APPEND_ONLY: value})
    return True
