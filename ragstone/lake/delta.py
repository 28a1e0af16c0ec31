"""Delta tables without a JVM: versions, identities, transactions and small appends.

Tables are addressed by the lake's root folder and their TableSpec. Every reader insists on reader version 1, because
readers outside Spark return wrong rows, silently, for some newer table features.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError
from deltalake.transaction import AddAction, RemoveAction

from ragstone.contracts.tables import TableSpec
from ragstone.lake.schema import arrow_schema, table_properties
from ragstone.runtime.errors import ConfigError, ContractError

ABSENT: Final = -1
_READER_VERSION: Final = 1
_IMPOSSIBLE: Final = re.compile(r"[\[\]^|\\]|%[0-9A-Fa-f]{2}")


def table_path(root: Path, spec: TableSpec) -> Path:
    """Return the folder of a table below the lake's root.

    Raises ConfigError for a root whose name Delta cannot take: deltalake would abort the process or look elsewhere.
    """
    if _IMPOSSIBLE.search(str(root)):
        raise ConfigError(
            "the lake cannot stand in this folder",
            where=str(root),
            got=sorted(set(_IMPOSSIBLE.findall(str(root)))),
            wanted="a path without [ ] ^ | \\ and without escapes such as %20",
            next_step="choose another home folder with --home or RAGSTONE_HOME",
        )
    return root / spec.path


def open_table(root: Path, spec: TableSpec, version: int | None = None) -> DeltaTable | None:
    """Return a table, at a version or at its newest, or None when it does not exist.

    Raises ContractError when the table needs another reader version or has other columns than its spec.
    """
    path = table_path(root, spec)
    if not DeltaTable.is_deltatable(str(path)):
        return None
    table = DeltaTable(str(path), version=version)
    check_protocol(table, path)
    _check_columns(table, path, spec)
    return table


def table_version(root: Path, spec: TableSpec) -> int:
    """Return the newest version of a table, or -1 when it does not exist."""
    table = _open_unchecked(root, spec)
    return ABSENT if table is None else int(table.version())


def table_id(root: Path, spec: TableSpec) -> str | None:
    """Return the identity a table got when it was created, or None: a table made anew has another one."""
    table = _open_unchecked(root, spec)
    return None if table is None else str(table.metadata().id)


def transaction_version(root: Path, spec: TableSpec, app_id: str) -> int | None:
    """Return the txnVersion last committed to a table under a txnAppId, or None when there is none."""
    table = _open_unchecked(root, spec)
    return None if table is None else table.transaction_version(app_id)


def ensure_table(root: Path, spec: TableSpec) -> DeltaTable:
    """Return a table, created empty when it does not exist.

    Raises ContractError for a missing table with constraints: they are written in Spark's SQL, so Spark creates those.
    """
    table = open_table(root, spec)
    if table is not None:
        return table
    if spec.constraints:
        raise ContractError(
            f"{spec.name} has constraints, so it can only be created by Spark",
            where=str(table_path(root, spec)),
            wanted="spark_jobs.lake.ensure_table",
        )
    return DeltaTable.create(
        str(table_path(root, spec)),
        arrow_schema(spec),
        mode="ignore",
        description=spec.grain,
        configuration=table_properties(spec),
    )


def append_rows(
    root: Path, spec: TableSpec, rows: Sequence[Mapping[str, Any]], txn: tuple[str, int] | None = None
) -> int:
    """Append rows in one commit, creating the table when needed, and return the table's version.

    `rows` map column names to values, timestamps with a time zone; a nullable column may be left out. `txn` is
    (txnAppId, txnVersion): a transaction that was already committed is not repeated. An empty sequence commits nothing.
    Raises ContractError when a row does not fit the spec; then nothing is written.
    """
    if not rows:
        return table_version(root, spec)
    data = rows_to_table(spec, rows)
    table = ensure_table(root, spec)
    if txn is not None and (table.transaction_version(txn[0]) or -1) >= txn[1]:
        return int(table.version())
    try:
        write_deltalake(table, data, mode="append", commit_properties=_transaction(txn))
    except (CommitFailedError, SchemaMismatchError, DeltaError) as refused:
        raise _refused(spec, refused) from refused
    return int(table.version())


def append_tombstones(
    root: Path, spec: TableSpec, rows: Sequence[Mapping[str, Any]], txn: tuple[str, int] | None = None
) -> int:
    """Append inactive rows in one commit to a table that exists, whatever its constraints, and return its version.

    deltalake refuses to write where it cannot read a constraint in Spark's SQL. Those say `NOT active OR ...`, which no
    inactive row can break; so much is checked here, and the rest of what `append_rows` checks. Raises ContractError.
    """
    data = rows_to_table(spec, rows)
    table = open_table(root, spec)
    binding = [name for name, condition in spec.constraints.items() if not condition.startswith("NOT active OR ")]
    if table is None or binding or any(data["active"].to_pylist()):
        raise _refused(spec, f"a table that is there, and tombstones alone; constraints that bind them: {binding}")
    if not rows:
        return int(table.version())
    return commit_rows(root, spec, data, txn)


def commit_rows(root: Path, spec: TableSpec, data: pa.Table, txn: tuple[str, int] | None = None) -> int:
    """Commit rows whose constraints the caller has checked, to a table that exists, and return its version.

    `data` has the spec's schema. A transaction that was committed is not repeated; one without rows is committed too.
    """
    table = open_table(root, spec)
    if table is None:
        raise _refused(spec, "no table")
    if (data.num_rows == 0 and txn is None) or (txn and (table.transaction_version(txn[0]) or -1) >= txn[1]):
        return int(table.version())
    added: list[AddAction | RemoveAction] = [_written_file(root, spec, data)] if data.num_rows else []
    table.create_write_transaction(added, "append", table.schema(), commit_properties=_transaction(txn))
    return table_version(root, spec)


def _written_file(root: Path, spec: TableSpec, data: pa.Table) -> AddAction:
    file = table_path(root, spec) / f"part-00000-{uuid.uuid4()}-c000.snappy.parquet"
    pq.write_table(data, file, compression="snappy")
    return AddAction(file.name, file.stat().st_size, {}, int(time.time() * 1000), True, _statistics(spec, data))


def _transaction(txn: tuple[str, int] | None) -> CommitProperties | None:
    return CommitProperties(app_transactions=[Transaction(txn[0], txn[1])]) if txn else None


def _statistics(spec: TableSpec, rows: pa.Table) -> str:
    found = {name: pc.min_max(rows[name]).as_py() for name in spec.statistics_columns}
    bounds = {
        kind: {name: _plain(bounds[bound]) for name, bounds in found.items() if bounds[bound] is not None}
        for kind, bound in (("minValues", "min"), ("maxValues", "max"))
    }
    nulls = {name: rows[name].null_count for name in spec.statistics_columns}
    return json.dumps({"numRecords": rows.num_rows, **bounds, "nullCount": nulls})


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if isinstance(value, datetime) else value


def rows_to_table(spec: TableSpec, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as Arrow in the spec's schema. Raises ContractError for unknown columns, nulls or wrong types."""
    unknown = {name for row in rows for name in row} - set(spec.column_names)
    if unknown:
        raise _refused(spec, f"unknown columns {sorted(unknown)}")
    # Arrow takes a text for a list of its letters.
    texts = [name for name in _list_columns(spec) if any(isinstance(row.get(name), str) for row in rows)]
    if texts:
        raise _refused(spec, f"text instead of a list in {texts}")
    try:
        data = pa.Table.from_pylist([dict(row) for row in rows], schema=arrow_schema(spec))
    except (pa.ArrowInvalid, pa.ArrowTypeError, ValueError, TypeError) as wrong:
        raise _refused(spec, wrong) from wrong
    nulls = [field.name for field in data.schema if not field.nullable and data[field.name].null_count]
    if nulls:
        raise _refused(spec, f"null in {nulls}")
    return data


def _list_columns(spec: TableSpec) -> list[str]:
    return [field.name for field in arrow_schema(spec) if pa.types.is_list(field.type)]


def _open_unchecked(root: Path, spec: TableSpec) -> DeltaTable | None:
    path = str(table_path(root, spec))
    return DeltaTable(path) if DeltaTable.is_deltatable(path) else None


def check_protocol(table: DeltaTable, path: Path) -> None:
    """Raise ContractError for a table with features that readers outside Spark misread."""
    reader_version = table.protocol().min_reader_version
    if reader_version != _READER_VERSION:
        raise ContractError(
            "a table uses Delta features that readers outside Spark misread",
            where=str(path),
            got=f"reader version {reader_version}",
            wanted=f"reader version {_READER_VERSION}",
            next_step="undo the change of table features, or rebuild the table from the landing zone",
        )


def _check_columns(table: DeltaTable, path: Path, spec: TableSpec) -> None:
    # By name: a column that a migration added stands last in the table, wherever the contract has it.
    found = {field.name for field in table.schema().fields}
    lacking = [name for name in spec.column_names if name not in found]
    unknown = sorted(found - set(spec.column_names))
    if lacking or unknown:
        raise ContractError(
            f"{spec.name} has other columns than its contract",
            where=str(path),
            got=f"without {lacking}, with {unknown} beside the contract's",
            wanted=spec.column_names,
            next_step="ragstone maintain, which applies the declared migrations; docs/maintenance.md",
        )


def _refused(spec: TableSpec, reason: object) -> ContractError:
    return ContractError(
        f"rows do not fit {spec.name}; none was written",
        where="an append",
        got=reason,
        wanted=spec.grain,
    )
