"""Reading the lake without a JVM: SQL over Delta tables in DuckDB, and the state of a table at a time.

Sessions run in UTC, and no extension is ever fetched. A table that does not exist reads as empty.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from ragstone.contracts.state import NOW, AsOf, newest_rows_sql, state_sql
from ragstone.contracts.tables import TableSpec
from ragstone.lake.delta import open_table
from ragstone.lake.schema import arrow_schema

BATCH_ROWS: Final = 8_192
_RELATION = "relation"


def relation(root: Path, spec: TableSpec, version: int | None = None) -> Any:
    """Return a table as an Arrow dataset, or as an empty Arrow table when it does not exist.

    `version` pins a Delta version. Raises ContractError when the table is not as its spec says.
    """
    table = open_table(root, spec, version)
    return arrow_schema(spec).empty_table() if table is None else table.to_pyarrow_dataset()


def query(root: Path, sql: str, parameters: Sequence[Any] = (), **relations: TableSpec | pa.Table) -> pa.Table:
    """Run SQL in which each keyword names a table of the lake or an Arrow table, and return all its rows.

    `parameters` take the places of the question marks.
    """
    with _connect() as connection:
        for name, source in relations.items():
            connection.register(name, relation(root, source) if isinstance(source, TableSpec) else source)
        return connection.sql(sql, params=list(parameters)).to_arrow_table()


class RelationReader:
    """A table that was opened once, to be queried by SQL in which it is called `name`. For one thread at a time."""

    name: Final = _RELATION

    def __init__(self, root: Path, spec: TableSpec) -> None:
        self._connection = _connect()
        self._connection.register(self.name, relation(root, spec))

    def query(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query."""
        rows: list[dict[str, Any]] = self._connection.sql(sql).to_arrow_table().to_pylist()
        return rows


def state(
    root: Path,
    spec: TableSpec,
    as_of: AsOf = NOW,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    version: int | None = None,
) -> pa.Table:
    """Return the state of a table: per key its newest row, if active. `where` filters the state, not the history.

    `columns` defaults to all, in the spec's order; the result has the spec's types.
    """
    return _read(root, spec, state_sql(spec, _RELATION, as_of), columns, where, version)


def newest_rows(
    root: Path,
    spec: TableSpec,
    as_of: AsOf = NOW,
    columns: Sequence[str] | None = None,
    where: str | None = None,
    version: int | None = None,
) -> pa.Table:
    """Return per key the newest row of a table, tombstones included. Arguments as for `state`."""
    return _read(root, spec, newest_rows_sql(spec, _RELATION, as_of), columns, where, version)


def state_batches(
    root: Path,
    spec: TableSpec,
    as_of: AsOf = NOW,
    batch_rows: int = BATCH_ROWS,
    columns: Sequence[str] | None = None,
    version: int | None = None,
) -> Iterator[pa.RecordBatch]:
    """Yield the state of a table in batches of at most `batch_rows` rows, in no particular order."""
    schema = _selected_schema(spec, columns)
    with _connect() as connection:
        connection.register(_RELATION, relation(root, spec, version))
        selected = _select(state_sql(spec, _RELATION, as_of), columns, None)
        for batch in connection.sql(selected).to_arrow_reader(batch_rows):
            yield batch.cast(schema)


def _read(
    root: Path, spec: TableSpec, rows_sql: str, columns: Sequence[str] | None, where: str | None, version: int | None
) -> pa.Table:
    with _connect() as connection:
        connection.register(_RELATION, relation(root, spec, version))
        result = connection.sql(_select(rows_sql, columns, where)).to_arrow_table()
    return result.cast(_selected_schema(spec, columns))


def _select(rows_sql: str, columns: Sequence[str] | None, where: str | None) -> str:
    return f"SELECT {', '.join(columns) if columns else '*'} FROM ({rows_sql}) WHERE {where or 'TRUE'}"


def _selected_schema(spec: TableSpec, columns: Sequence[str] | None) -> pa.Schema:
    schema = arrow_schema(spec)
    return schema if columns is None else pa.schema([schema.field(name) for name in columns])


def _connect() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        ":memory:", config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    connection.execute("SET TimeZone = 'UTC'")
    return connection
