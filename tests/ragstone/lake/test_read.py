import pyarrow as pa
import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS, STATIC_TABLES
from ragstone.lake import read
from ragstone.lake.schema import arrow_schema
from tests.factories import at, make_access_row, make_chunk_row, make_tombstone, write_rows

GUIDE = document_id("notes", "guide.md")


@pytest.mark.parametrize("spec", STATIC_TABLES, ids=lambda spec: spec.name)
def test_a_table_that_does_not_exist_reads_as_empty_with_the_right_schema(home, spec):
    assert read.relation(home, spec).schema == arrow_schema(spec)
    assert read.query(home, "SELECT * FROM t", t=spec).num_rows == 0


def test_a_state_has_the_schema_of_its_contract_and_of_the_columns_asked_for(home):
    write_rows(home, SILVER_CHUNKS, [make_chunk_row()])
    assert read.state(home, SILVER_CHUNKS).schema == arrow_schema(SILVER_CHUNKS)
    assert read.state(home, SILVER_CHUNKS, columns=["text", "chunk_id"]).column_names == ["text", "chunk_id"]


def test_a_filter_applies_to_the_state_and_not_to_the_history(home):
    old = make_access_row(acl=["public"], event_timestamp=at(0))
    new = make_access_row(acl=["staff"], event_timestamp=at(1))
    write_rows(home, DOCUMENT_ACCESS, [old, new])
    assert read.state(home, DOCUMENT_ACCESS, where="list_contains(acl, 'public')").num_rows == 0
    assert read.state(home, DOCUMENT_ACCESS, where="list_contains(acl, 'staff')").num_rows == 1


def test_newest_rows_keep_tombstones(home):
    write_rows(
        home, DOCUMENT_ACCESS, [make_access_row(), make_tombstone(DOCUMENT_ACCESS, GUIDE, event_timestamp=at(1))]
    )
    assert read.newest_rows(home, DOCUMENT_ACCESS)["active"].to_pylist() == [False]
    assert read.state(home, DOCUMENT_ACCESS).num_rows == 0
    assert read.state(home, DOCUMENT_ACCESS, AsOf(known_by=at(0))).num_rows == 1


def test_batches_hold_the_state_in_bounded_pieces(home):
    rows = [make_chunk_row(f"text {item}") for item in range(5_000)]
    write_rows(home, SILVER_CHUNKS, [*rows, make_tombstone(SILVER_CHUNKS, rows[0]["chunk_id"], event_timestamp=at(1))])
    batches = list(read.state_batches(home, SILVER_CHUNKS, batch_rows=2_048))
    assert max(batch.num_rows for batch in batches) <= 2_048
    assert {batch.schema for batch in batches} == {arrow_schema(SILVER_CHUNKS)}
    found = pa.Table.from_batches(batches)["chunk_id"].to_pylist()
    assert sorted(found) == sorted(row["chunk_id"] for row in rows[1:])


def test_a_reader_may_stop_early(home):
    write_rows(home, SILVER_CHUNKS, [make_chunk_row(f"text {item}") for item in range(100)])
    assert next(read.state_batches(home, SILVER_CHUNKS, batch_rows=10)).num_rows
    assert read.state(home, SILVER_CHUNKS).num_rows == 100


def test_a_version_can_be_pinned(home):
    first = write_rows(home, DOCUMENT_ACCESS, [make_access_row()])
    write_rows(home, DOCUMENT_ACCESS, [make_access_row("plan.md")])
    assert read.state(home, DOCUMENT_ACCESS, version=first).num_rows == 1
    assert read.state(home, DOCUMENT_ACCESS).num_rows == 2


def test_queries_take_parameters_tables_of_the_lake_and_of_memory(home):
    write_rows(home, DOCUMENT_ACCESS, [make_access_row(), make_access_row("plan.md")])
    wanted = pa.table({"document_id": [GUIDE]})
    sql = "SELECT acl FROM access SEMI JOIN wanted USING (document_id) WHERE active = ?"
    assert read.query(home, sql, [True], access=DOCUMENT_ACCESS, wanted=wanted).to_pylist() == [{"acl": ["public"]}]
    assert read.query(home, sql, [False], access=DOCUMENT_ACCESS, wanted=wanted).num_rows == 0


def test_times_are_utc_whatever_the_machine_says(home, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    write_rows(home, DOCUMENT_ACCESS, [make_access_row(event_timestamp=at(0))])
    assert read.state(home, DOCUMENT_ACCESS, AsOf(known_by=at(0)))["event_timestamp"].to_pylist() == [at(0)]
    assert read.query(home, "SELECT hour(event_timestamp) AS h FROM t", t=DOCUMENT_ACCESS)["h"].to_pylist() == [0]
