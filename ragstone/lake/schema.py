"""A TableSpec as Arrow sees it, and the Delta properties every table is created with, whoever creates it."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from ragstone.contracts import tables
from ragstone.contracts.tables import TableSpec

ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    tables.STRING: pa.string(),
    tables.INT: pa.int32(),
    tables.LONG: pa.int64(),
    tables.DOUBLE: pa.float64(),
    tables.BOOLEAN: pa.bool_(),
    tables.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    tables.STRINGS: pa.list_(pa.field("element", pa.string())),
    tables.FLOATS: pa.list_(pa.field("element", pa.float32())),
    tables.TEXT_MAP: pa.map_(pa.string(), pa.string()),
    tables.VERSION_MAP: pa.map_(pa.string(), pa.int64()),
}


def arrow_schema(spec: TableSpec) -> pa.Schema:
    """Return the Arrow schema of a table: columns in the spec's order, timestamps in microseconds and UTC."""
    return pa.schema(
        [pa.field(column.name, ARROW_TYPES[column.type], nullable=column.nullable) for column in spec.columns]
    )


def table_properties(spec: TableSpec) -> dict[str, str]:
    """Return the Delta properties of a table: constraints by name, what may be kept as statistics, append-only."""
    # Statistics are named one by one because they are copied into the log, where purged text must not survive.
    fixed = {
        "delta.appendOnly": "true",
        "delta.enableDeletionVectors": "false",
        "delta.dataSkippingStatsColumns": ",".join(spec.statistics_columns),
    }
    constraints = {f"delta.constraints.{name}": condition for name, condition in spec.constraints.items()}
    return {**fixed, **constraints}
