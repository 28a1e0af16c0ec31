"""The only Spark reads and writes of the lake: every table is created, read and appended to through its TableSpec."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pyarrow as pa
from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as spark_types

from ragstone.contracts import tables
from ragstone.contracts.state import NOW, AsOf, newest_rows_sql, state_sql
from ragstone.contracts.tables import TableSpec
from ragstone.lake import delta
from ragstone.lake.delta import ABSENT, open_table, table_path, table_version, transaction_version
from ragstone.lake.schema import arrow_schema, table_properties
from ragstone.runtime.errors import ContractError
from spark_jobs.driver_frames import driver_frame

_CONSTRAINT: Final = "delta.constraints."

SPARK_TYPES: Final[dict[str, spark_types.DataType]] = {
    tables.STRING: spark_types.StringType(),
    tables.INT: spark_types.IntegerType(),
    tables.LONG: spark_types.LongType(),
    tables.DOUBLE: spark_types.DoubleType(),
    tables.BOOLEAN: spark_types.BooleanType(),
    tables.TIMESTAMP: spark_types.TimestampType(),
    tables.STRINGS: spark_types.ArrayType(spark_types.StringType()),
    tables.FLOATS: spark_types.ArrayType(spark_types.FloatType()),
    tables.TEXT_MAP: spark_types.MapType(spark_types.StringType(), spark_types.StringType()),
    tables.VERSION_MAP: spark_types.MapType(spark_types.StringType(), spark_types.LongType()),
}


def struct_type(spec: TableSpec) -> spark_types.StructType:
    """Return the Spark schema of a table: columns in the spec's order."""
    return spark_types.StructType(
        [
            spark_types.StructField(column.name, SPARK_TYPES[column.type], nullable=column.nullable)
            for column in spec.columns
        ]
    )


def ensure_table(spark: SparkSession, root: Path, spec: TableSpec) -> None:
    """Create a table when it does not exist, with its constraints, so that Delta refuses a breach whoever writes."""
    if table_version(root, spec) != ABSENT:
        return
    # A creation that died leaves a log without a commit, and Delta takes that for a table which has lost its files.
    shutil.rmtree(table_path(root, spec) / "_delta_log", ignore_errors=True)
    if not spec.constraints:
        # Without a Spark action; only constraints have to be understood by Spark.
        delta.ensure_table(root, spec)
        return
    builder = DeltaTable.createIfNotExists(spark).location(str(table_path(root, spec))).comment(spec.grain)
    builder = builder.addColumns(struct_type(spec))
    # Properties, unlike ALTER TABLE, take constraints with lambdas, and cost one job instead of one for each.
    for name, value in table_properties(spec).items():
        builder = builder.property(name, value)
    builder.execute()


def read_table(spark: SparkSession, root: Path, spec: TableSpec, version: int | None = None) -> DataFrame:
    """Return a table, at a Delta version or at its newest; a table that does not exist reads as empty.

    Raises ContractError when the table is not as its spec says.
    """
    if open_table(root, spec, version) is None:
        return spark.createDataFrame([], struct_type(spec))
    reader = spark.read.format("delta")
    if version is not None:
        reader = reader.option("versionAsOf", version)
    return reader.load(str(table_path(root, spec)))


def state(spark: SparkSession, root: Path, spec: TableSpec, as_of: AsOf = NOW) -> DataFrame:
    """Return the state of a table: per key its newest row within the bounds, if active."""
    return spark.sql(state_sql(spec, "{relation}", as_of), relation=read_table(spark, root, spec))


def newest_rows(spark: SparkSession, root: Path, spec: TableSpec, as_of: AsOf = NOW) -> DataFrame:
    """Return per key the newest row of a table within the bounds, tombstones included."""
    return spark.sql(newest_rows_sql(spec, "{relation}", as_of), relation=read_table(spark, root, spec))


def append(frame: DataFrame, root: Path, spec: TableSpec, txn: tuple[str, int] | None = None) -> int:
    """Append a frame in one commit, creating the table when needed, and return the table's version.

    Columns are matched by name and must be the spec's, with its types. `txn` is (txnAppId, txnVersion): when that or a
    later version was committed already, nothing is computed or written. Raises ContractError for other columns.
    """
    _check_frame(frame, spec)
    if txn is not None and _is_committed(root, spec, txn):
        return table_version(root, spec)
    ensure_table(frame.sparkSession, root, spec)
    writer = frame.select(*spec.column_names).write.format("delta").mode("append")
    if txn is not None:
        writer = writer.option("txnAppId", txn[0]).option("txnVersion", txn[1])
    writer.save(str(table_path(root, spec)))
    return table_version(root, spec)


def append_few(
    spark: SparkSession, rows: pa.Table, root: Path, spec: TableSpec, txn: tuple[str, int] | None = None
) -> int:
    """Append a few rows of the driver's in one commit to a table that exists, and return its version.

    Spark holds them against the constraints that the table itself has, as it does in an append of its own; the commit,
    which would cost it more than everything else of a small batch, is deltalake's. `txn` as in `append`. Raises
    ContractError for a row that breaks a constraint, or is null where it must not be; then nothing is written.
    """
    table = open_table(root, spec)
    properties = {} if table is None else table.metadata().configuration
    constraints = {name: value for name, value in properties.items() if name.startswith(_CONSTRAINT)}
    # First, because Spark itself cannot read a null where there must be none.
    broken = [column.name for column in spec.columns if not column.nullable and rows[column.name].null_count]
    broken = broken or [name for name, condition in constraints.items() if _breaks(spark, rows, condition)]
    if table is None or broken:
        raise ContractError(
            f"rows do not fit {spec.name}; none was written",
            where="spark_jobs.lake.append_few",
            got=f"rows that break {broken}" if broken else "no table",
            wanted=spec.grain,
        )
    return delta.commit_rows(root, spec, rows.select(spec.column_names).cast(arrow_schema(spec)), txn)


def _breaks(spark: SparkSession, rows: pa.Table, condition: str) -> bool:
    # A condition that is neither true nor false is broken for Delta, too.
    return bool(driver_frame(spark, rows).filter(f"NOT coalesce(({condition}), FALSE)").take(1))


def _is_committed(root: Path, spec: TableSpec, txn: tuple[str, int]) -> bool:
    committed = transaction_version(root, spec, txn[0])
    return committed is not None and committed >= txn[1]


def _check_frame(frame: DataFrame, spec: TableSpec) -> None:
    found = {field.name: field.dataType.simpleString() for field in frame.schema.fields}
    wanted = {column.name: SPARK_TYPES[column.type].simpleString() for column in spec.columns}
    if found != wanted:
        raise ContractError(
            f"a frame does not have the columns of {spec.name}; nothing was written",
            where="spark_jobs.lake.append",
            got={name: type_ for name, type_ in found.items() if wanted.get(name) != type_},
            wanted={name: type_ for name, type_ in wanted.items() if found.get(name) != type_},
        )
