"""A table's contract, its Spark schema, its Arrow schema and the Delta table itself are one and the same."""

import pyarrow as pa
import pytest
from pyspark.sql.pandas.types import from_arrow_schema

from ragstone.contracts.tables import STATIC_TABLES, embeddings
from ragstone.lake.delta import open_table
from ragstone.lake.read import relation
from ragstone.lake.schema import arrow_schema
from spark_jobs import lake

pytestmark = pytest.mark.spark
TABLES = (*STATIC_TABLES, embeddings("minilm_fp32", 384))


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_spark_and_arrow_schemas_come_from_one_contract(spec):
    spark_schema, arrow = lake.struct_type(spec), arrow_schema(spec)
    assert from_arrow_schema(arrow) == spark_schema
    assert [(field.name, field.dataType.simpleString(), field.nullable) for field in spark_schema] == [
        (column.name, column.type, column.nullable) for column in spec.columns
    ]


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_every_table_is_created_as_its_contract_says(spark, home, spec):
    lake.ensure_table(spark, home, spec)
    table = open_table(home, spec)
    assert table.protocol().min_reader_version == 1
    assert relation(home, spec).schema == arrow_schema(spec)
    configuration = table.metadata().configuration
    assert {
        name.removeprefix("delta.constraints."): condition
        for name, condition in configuration.items()
        if name.startswith("delta.constraints.")
    } == dict(spec.constraints)
    assert configuration["delta.dataSkippingStatsColumns"] == ",".join(spec.statistics_columns)
    assert configuration["delta.appendOnly"] == "true"
    assert lake.read_table(spark, home, spec).schema.names == list(spec.column_names)


def test_timestamps_carry_a_zone_everywhere():
    stamps = [field.type for spec in TABLES for field in arrow_schema(spec) if pa.types.is_timestamp(field.type)]
    assert stamps
    assert set(stamps) == {pa.timestamp("us", tz="UTC")}
