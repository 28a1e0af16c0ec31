"""The data files of a table: for DuckDB to read in place, and to tell what was committed since a version."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Final

import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError

from ragstone.contracts import tables
from ragstone.contracts.tables import TableSpec
from ragstone.lake.delta import ABSENT, open_table

_DUCKDB_TYPES: Final = {
    tables.STRING: "VARCHAR",
    tables.INT: "INTEGER",
    tables.LONG: "BIGINT",
    tables.DOUBLE: "DOUBLE",
    tables.BOOLEAN: "BOOLEAN",
    tables.TIMESTAMP: "TIMESTAMPTZ",
    tables.STRINGS: "VARCHAR[]",
    tables.FLOATS: "FLOAT[]",
    tables.TEXT_MAP: "MAP(VARCHAR, VARCHAR)",
    tables.VERSION_MAP: "MAP(VARCHAR, BIGINT)",
}
_GLOB_CHARACTERS: Final = re.compile(r"([*?\[])")


def files_sql(root: Path, spec: TableSpec, version: int | None = None) -> str:
    """Return SQL for a table's rows, at a version or at its newest, read by DuckDB itself; no row when it is absent.

    Twice as fast in a join as an Arrow scan of the same files. Raises ContractError when the table is not as its spec.
    """
    table = open_table(root, spec, version)
    files = [] if table is None else table.file_uris()
    if not files:
        nothing = ", ".join(f"NULL::{_DUCKDB_TYPES[column.type]} AS {column.name}" for column in spec.columns)
        return f"(SELECT {nothing} WHERE FALSE)"
    names = ", ".join(_literal(file) for file in files)
    # By name, because a table that once gained a column has older files without it.
    return f"read_parquet([{names}], union_by_name = true)"


def earliest_event_since(root: Path, spec: TableSpec, version: int) -> datetime | None:
    """Return the smallest event_timestamp among rows committed after a version, or None when there is no such row.

    Compacted files count as new, and a version that the log no longer has counts as -1: both only look further back.
    """
    table = open_table(root, spec)
    if table is None:
        return None
    fresh = set(table.file_uris()) - _files_at(root, spec, version)
    earliest = (pc.min(pq.read_table(file, columns=["event_timestamp"])["event_timestamp"]) for file in fresh)
    found = [moment.as_py() for moment in earliest if moment.is_valid]
    return min(found, default=None)


def _files_at(root: Path, spec: TableSpec, version: int) -> set[str]:
    if version == ABSENT:
        return set()
    try:
        table = open_table(root, spec, version)
    except DeltaError:
        return set()
    return set() if table is None else set(table.file_uris())


def _literal(file: str) -> str:
    escaped = _GLOB_CHARACTERS.sub(r"[\1]", file.removeprefix("file://")).replace("'", "''")
    return f"'{escaped}'"
