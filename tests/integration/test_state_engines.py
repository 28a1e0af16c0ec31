"""state(T) by Spark, by DuckDB and by a brute-force oracle that knows nothing of SQL: the same rows for any history."""

from collections import defaultdict
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyspark.sql.types import StructField, StructType

from ragstone.contracts.state import AsOf, newest_rows_sql, state_sql
from ragstone.contracts.tables import DOCUMENT_ACCESS, LONG, Column
from ragstone.lake import read
from ragstone.lake.schema import arrow_schema
from spark_jobs.lake import SPARK_TYPES
from tests.factories import at

pytestmark = pytest.mark.spark

# Many histories go through Spark in one query, each under a number of its own, for a query costs a second.
HISTORY = Column("history", LONG, "which history a row belongs to", nullable=False)
SPEC = replace(DOCUMENT_ACCESS, keys=("history", *DOCUMENT_ACCESS.keys), columns=(HISTORY, *DOCUMENT_ACCESS.columns))

# Few keys and few moments, so that ties, late rows and tombstones meet.
MOMENTS = st.integers(0, 2).map(at)
ROWS = st.fixed_dictionaries(
    {
        "document_id": st.sampled_from(["a", "b", "c"]),
        "acl": st.none() | st.lists(st.sampled_from(["public", "staff"]), max_size=2),
        "active": st.booleans(),
        "event_timestamp": MOMENTS,
        "created_timestamp": MOMENTS,
        "run_id": st.sampled_from(["run-1", "run-2"]),
    }
)
HISTORIES = st.lists(st.lists(ROWS, max_size=12), min_size=1, max_size=60)
BOUNDS = st.builds(AsOf, known_by=st.none() | MOMENTS, written_by=st.none() | MOMENTS)

# A row and its tombstone at the same moments, in both orders: the case that engines settle by chance if they may.
TIED = [
    {
        "document_id": "a",
        "acl": None,
        "active": active,
        "event_timestamp": at(1),
        "created_timestamp": at(1),
        "run_id": "r",
    }
    for active in (True, False)
]
TIES = [TIED, TIED[::-1]]


def rank(row):
    return row["event_timestamp"], row["created_timestamp"], not row["active"]


def oracle(rows, as_of, *, only_active):
    """Return the ranks by key that must come out; between rows equal in rank nothing decides, so either may stand."""
    visible = [
        row
        for row in rows
        if (as_of.known_by is None or row["event_timestamp"] <= as_of.known_by)
        and (as_of.written_by is None or row["created_timestamp"] <= as_of.written_by)
    ]
    by_key = defaultdict(list)
    for row in visible:
        by_key[row["history"], row["document_id"]].append(row)
    newest = {key: max(map(rank, versions)) for key, versions in by_key.items()}
    return {key: best for key, best in newest.items() if not (only_active and best[2])}


def ranked(found):
    assert len({(row["history"], row["document_id"]) for row in found}) == len(found)
    return {(row["history"], row["document_id"]): rank(row) for row in found}


def numbered(histories):
    return [{**row, "history": number} for number, rows in enumerate(histories) for row in rows]


def by_duckdb(rows, sql):
    table = pa.Table.from_pylist(rows, schema=arrow_schema(SPEC))
    return ranked(read.query("unused", sql, rows=table).to_pylist())


def by_spark(spark, rows, sql):
    schema = StructType([StructField(column.name, SPARK_TYPES[column.type]) for column in SPEC.columns])
    values = [[row[name] for name in SPEC.column_names] for row in rows]
    found = spark.sql(sql, rows=spark.createDataFrame(values, schema)).toPandas()
    for name in ("event_timestamp", "created_timestamp"):
        found[name] = found[name].dt.tz_localize("UTC")
    return ranked(found.to_dict("records"))


@settings(max_examples=60, deadline=None)
@given(histories=HISTORIES, as_of=BOUNDS)
@example(histories=TIES, as_of=AsOf())
def test_duckdb_agrees_with_the_oracle(histories, as_of):
    rows = numbered(histories)
    assert by_duckdb(rows, state_sql(SPEC, "rows", as_of)) == oracle(rows, as_of, only_active=True)
    assert by_duckdb(rows, newest_rows_sql(SPEC, "rows", as_of)) == oracle(rows, as_of, only_active=False)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=HISTORIES, as_of=BOUNDS)
@example(histories=TIES, as_of=AsOf())
def test_spark_agrees_with_the_oracle(spark, histories, as_of):
    rows = numbered(histories)
    assert by_spark(spark, rows, state_sql(SPEC, "{rows}", as_of)) == oracle(rows, as_of, only_active=True)
    assert by_spark(spark, rows, newest_rows_sql(SPEC, "{rows}", as_of)) == oracle(rows, as_of, only_active=False)


@pytest.mark.full
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories=HISTORIES, as_of=BOUNDS)
@example(histories=TIES, as_of=AsOf())
def test_spark_agrees_with_the_oracle_on_many_histories(spark, histories, as_of):
    rows = numbered(histories)
    assert by_spark(spark, rows, state_sql(SPEC, "{rows}", as_of)) == oracle(rows, as_of, only_active=True)
