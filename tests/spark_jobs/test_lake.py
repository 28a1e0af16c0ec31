from dataclasses import replace

import pyarrow as pa
import pytest
from pyspark.errors.exceptions.captured import UnsupportedOperationException
from pyspark.sql import functions as sql

from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS, STATIC_TABLES, embeddings
from ragstone.lake import read
from ragstone.lake.delta import open_table, table_version, transaction_version
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.errors import ContractError
from spark_jobs import lake
from tests.factories import at, constrain, make_access_row, make_chunk_row, make_tombstone, write_rows

pytestmark = pytest.mark.spark
SPACE = embeddings("tiny", 3)


def frame_of(spark, spec, rows):
    return spark.createDataFrame([[row[name] for name in spec.column_names] for row in rows], lake.struct_type(spec))


def embedding_row(vector, **changes):
    row = make_tombstone(SPACE, "c" * 32, active=True)
    return {**row, "dim": 3, "embedding": vector, **changes}


def test_a_table_made_by_spark_is_read_without_a_jvm(spark, home):
    version = lake.append(frame_of(spark, SILVER_CHUNKS, [make_chunk_row()]), home, SILVER_CHUNKS)
    table = open_table(home, SILVER_CHUNKS)
    assert table.version() == version == 1
    assert table.protocol().min_reader_version == 1
    assert table.metadata().configuration["delta.dataSkippingStatsColumns"] == ",".join(
        SILVER_CHUNKS.statistics_columns
    )
    assert read.state(home, SILVER_CHUNKS).to_pylist() == [make_chunk_row()]


def test_statistics_hold_no_text(spark, home):
    secret = "the text that was purged"
    lake.append(frame_of(spark, SILVER_CHUNKS, [make_chunk_row(secret)]), home, SILVER_CHUNKS)
    logs = list((home / "silver/chunks/_delta_log").glob("*.json"))
    assert logs
    assert not [log for log in logs if secret in log.read_text()]


@pytest.mark.parametrize(
    "wrong",
    [
        {"embedding": [1.0, 0.0]},
        {"embedding": [1.0, 0.0, None]},
        {"embedding": [float("nan"), 0.0, 0.0]},
        {"embedding": [1.0, 1.0, 0.0]},
        {"embedding": None},
        {"dim": 4},
    ],
)
def test_delta_itself_refuses_a_vector_that_breaks_the_contract(spark, home, wrong):
    lake.append(frame_of(spark, SPACE, [embedding_row([1.0, 0.0, 0.0])]), home, SPACE)
    with pytest.raises(Exception, match=r"DELTA_VIOLATE_CONSTRAINT"):
        lake.append(frame_of(spark, SPACE, [embedding_row([1.0, 0.0, 0.0], **wrong)]), home, SPACE)
    assert table_version(home, SPACE) == 1


def test_rows_cannot_be_deleted(spark, home):
    lake.append(frame_of(spark, DOCUMENT_ACCESS, [make_access_row()]), home, DOCUMENT_ACCESS)
    with pytest.raises(UnsupportedOperationException, match="DELTA_CANNOT_MODIFY_APPEND_ONLY"):
        spark.sql(f"DELETE FROM delta.`{home / DOCUMENT_ACCESS.path}`")


def test_columns_are_matched_by_name_and_enforced(spark, home):
    good = frame_of(spark, DOCUMENT_ACCESS, [make_access_row()])
    lake.append(good.select(*reversed(good.columns)), home, DOCUMENT_ACCESS)
    assert read.state(home, DOCUMENT_ACCESS).to_pylist() == [make_access_row()]
    for bad in (good.drop("acl"), good.withColumn("more", sql.lit(1)), good.withColumn("active", sql.lit("true"))):
        with pytest.raises(ContractError):
            lake.append(bad, home, DOCUMENT_ACCESS)
    assert table_version(home, DOCUMENT_ACCESS) == 1


def test_a_transaction_is_committed_once(spark, home):
    frame = frame_of(spark, DOCUMENT_ACCESS, [make_access_row()])
    first = lake.append(frame, home, DOCUMENT_ACCESS, txn=("job:1", 7))
    assert lake.append(frame, home, DOCUMENT_ACCESS, txn=("job:1", 7)) == first
    assert lake.append(frame, home, DOCUMENT_ACCESS, txn=("job:1", 6)) == first
    assert lake.append(frame, home, DOCUMENT_ACCESS, txn=("job:2", 0)) == first + 1
    assert transaction_version(home, DOCUMENT_ACCESS, "job:1") == 7


def test_a_table_that_does_not_exist_reads_as_empty(spark, home):
    for spec in STATIC_TABLES:
        assert lake.read_table(spark, home, spec).schema == lake.struct_type(spec)
    assert lake.state(spark, home, SILVER_CHUNKS).count() == 0


def test_states_and_newest_rows_obey_the_bounds(spark, home):
    opened, closed = make_access_row(), make_access_row(active=False, event_timestamp=at(5), created_timestamp=at(6))
    write_rows(home, DOCUMENT_ACCESS, [opened, closed])
    assert lake.state(spark, home, DOCUMENT_ACCESS).count() == 0
    assert [row.active for row in lake.newest_rows(spark, home, DOCUMENT_ACCESS).collect()] == [False]
    assert lake.state(spark, home, DOCUMENT_ACCESS, AsOf(known_by=at(4))).count() == 1
    assert lake.state(spark, home, DOCUMENT_ACCESS, AsOf(written_by=at(5))).count() == 1


def test_a_version_can_be_pinned(spark, home):
    first = write_rows(home, DOCUMENT_ACCESS, [make_access_row()])
    write_rows(home, DOCUMENT_ACCESS, [make_access_row("other.md")])
    assert lake.read_table(spark, home, DOCUMENT_ACCESS, first).count() == 1


def test_a_table_with_other_columns_is_refused(spark, home):
    write_rows(home, DOCUMENT_ACCESS, [make_access_row()])
    other = replace(DOCUMENT_ACCESS, columns=DOCUMENT_ACCESS.columns[1:])
    with pytest.raises(ContractError, match="other columns"):
        lake.read_table(spark, home, other)


def test_a_few_rows_are_held_against_the_constraints_that_the_table_has(spark, home):
    spec = embeddings("tiny", 3)
    vector = {**make_tombstone(spec, "0" * 32), "active": True, "dim": 3, "embedding": [1.0, 0.0, 0.0]}
    write_rows(home, spec, [vector])
    constrain(home, spec)
    breaches = (
        {"embedding": None},
        {"embedding": [1.0, 0.0]},
        {"embedding": [1.0, float("nan"), 0.0]},
        {"embedding": [1.0, None, 0.0]},
        {"embedding": [2.0, 0.0, 0.0]},
        {"dim": None},
        {"run_id": None},
    )
    for breach in breaches:
        rows = pa.Table.from_pylist([vector, {**vector, **breach}], schema=arrow_schema(spec))
        with pytest.raises(ContractError, match="none was written"):
            lake.append_few(spark, rows, home, spec, ("embed", 1))
    good = pa.Table.from_pylist([vector, make_tombstone(spec, "1" * 32)], schema=arrow_schema(spec))
    assert lake.append_few(spark, good, home, spec, ("embed", 1)) == 2
    assert lake.append_few(spark, good, home, spec, ("embed", 1)) == 2
    assert lake.append_few(spark, good.slice(0, 0), home, spec, ("embed", 2)) == 3
    assert transaction_version(home, spec, "embed") == 2
    # Spark reads what was committed without it.
    assert lake.read_table(spark, home, spec).count() == 3
