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
from ragstone.lake.commits import AddedFile, files_added_since
from ragstone.lake.delta import ABSENT, open_table, table_path

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

    It may be told a little too early, never too late: a version that the log no longer has counts as -1.
    """
    table = open_table(root, spec)
    if table is None:
        return None
    added = files_added_since(root, spec, version)
    if added is not None and all(_is_told(root, spec, file) for file in added):
        moments = [_earliest(root, spec, file) for file in added]
        return min(filter(None, moments), default=None)
    fresh = set(table.file_uris()) - _files_at(root, spec, version)
    return min(filter(None, map(_earliest_in, fresh)), default=None)


def _is_told(root: Path, spec: TableSpec, file: AddedFile) -> bool:
    # A file that maintenance replaced may be gone, and is needed only where its commit kept no statistics.
    return file.earliest_event is not None or file.rows == 0 or (table_path(root, spec) / file.path).is_file()


def _earliest(root: Path, spec: TableSpec, file: AddedFile) -> datetime | None:
    if file.earliest_event is not None or file.rows == 0:
        return file.earliest_event
    return _earliest_in(str(table_path(root, spec) / file.path))


def _earliest_in(file: str) -> datetime | None:
    moment: datetime | None = pc.min(pq.read_table(file, columns=["event_timestamp"])["event_timestamp"]).as_py()
    return moment


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
