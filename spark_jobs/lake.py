"""The only Spark reads and writes of the lake: every table is created, read and appended to through its TableSpec."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as spark_types

from ragstone.contracts import tables
from ragstone.contracts.state import NOW, AsOf, newest_rows_sql, state_sql
from ragstone.contracts.tables import TableSpec
from ragstone.lake import delta
from ragstone.lake.delta import ABSENT, open_table, table_path, table_version, transaction_version
from ragstone.lake.schema import table_properties
from ragstone.runtime.errors import ContractError

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
