from dataclasses import replace

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from ragstone.contracts.tables import DOCUMENT_ACCESS, QUARANTINE, RUNS, SILVER_CHUNKS, embeddings
from ragstone.lake import read
from ragstone.lake.delta import (
    append_rows,
    append_tombstones,
    ensure_table,
    open_table,
    table_id,
    table_version,
    transaction_version,
)
from ragstone.lake.files import earliest_event_since
from ragstone.runtime.errors import ConfigError, ContractError
from tests.factories import at, constrain, make_access_row, make_chunk_row, make_tombstone, write_rows


def test_a_table_that_does_not_exist_has_no_version_and_no_identity(home):
    assert table_version(home, DOCUMENT_ACCESS) == -1
    assert table_id(home, DOCUMENT_ACCESS) is None
    assert transaction_version(home, DOCUMENT_ACCESS, "app") is None
    assert open_table(home, DOCUMENT_ACCESS) is None


def test_the_first_append_creates_the_table_as_its_contract_says(home):
    version = append_rows(home, DOCUMENT_ACCESS, [make_access_row()])
    assert version == table_version(home, DOCUMENT_ACCESS) == 1
    table = open_table(home, DOCUMENT_ACCESS)
    assert table.protocol().min_reader_version == 1
    assert table.metadata().configuration == {
        "delta.appendOnly": "true",
        "delta.enableDeletionVectors": "false",
        "delta.dataSkippingStatsColumns": "document_id,event_timestamp,created_timestamp",
    }


def test_nothing_to_append_makes_no_version(home):
    append_rows(home, DOCUMENT_ACCESS, [make_access_row()])
    assert append_rows(home, DOCUMENT_ACCESS, []) == 1


def test_a_transaction_is_committed_once(home):
    for row, version in (("a", 1), ("b", 1), ("c", 1)):
        assert append_rows(home, DOCUMENT_ACCESS, [make_access_row(row)], txn=("app", 5)) == version
    append_rows(home, DOCUMENT_ACCESS, [make_access_row("d")], txn=("app", 0))
    append_rows(home, DOCUMENT_ACCESS, [make_access_row("e")], txn=("other", 0))
    assert transaction_version(home, DOCUMENT_ACCESS, "app") == 5
    assert read.state(home, DOCUMENT_ACCESS).num_rows == 2


def test_a_table_made_anew_has_another_identity(home, tmp_path):
    ensure_table(home, QUARANTINE)
    ensure_table(tmp_path, QUARANTINE)
    assert table_id(home, QUARANTINE) != table_id(tmp_path, QUARANTINE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"document_id": None},
        {"active": None},
        {"acl": "public"},
        {"event_timestamp": "yesterday"},
        {"more": 1},
    ],
)
def test_a_row_that_does_not_fit_is_refused_and_nothing_is_written(home, wrong):
    with pytest.raises(ContractError, match=r"do not fit silver\.document_access"):
        append_rows(home, DOCUMENT_ACCESS, [make_access_row(), {**make_access_row(), **wrong}])
    assert table_version(home, DOCUMENT_ACCESS) == -1


def test_a_nullable_column_may_be_left_out(home):
    row = make_access_row()
    del row["acl"]
    append_rows(home, DOCUMENT_ACCESS, [row])
    assert read.state(home, DOCUMENT_ACCESS)["acl"].to_pylist() == [None]


def test_a_table_with_constraints_is_left_for_spark_to_create(home):
    with pytest.raises(ContractError, match="only be created by Spark"):
        ensure_table(home, SILVER_CHUNKS)


def test_rows_cannot_be_deleted(home):
    append_rows(home, DOCUMENT_ACCESS, [make_access_row()])
    with pytest.raises(Exception, match="append"):
        open_table(home, DOCUMENT_ACCESS).delete("active")


def test_features_that_other_readers_misread_are_refused(home):
    path = str(home / DOCUMENT_ACCESS.path)
    write_rows(home, DOCUMENT_ACCESS, [make_access_row()])
    DeltaTable(path).alter.set_table_properties({"delta.minReaderVersion": "3", "delta.minWriterVersion": "7"})
    if DeltaTable(path).protocol().min_reader_version == 1:
        pytest.fail("this test no longer makes such a table")
    with pytest.raises(ContractError, match="misread") as error:
        read.state(home, DOCUMENT_ACCESS)
    assert error.value.got == "reader version 3"


def test_other_columns_than_the_contract_are_refused(home):
    write_rows(home, replace(DOCUMENT_ACCESS, columns=DOCUMENT_ACCESS.columns[:-1]), [without(make_access_row())])
    with pytest.raises(ContractError, match="other columns"):
        append_rows(home, DOCUMENT_ACCESS, [make_access_row()])


def without(row):
    return {name: value for name, value in row.items() if name != "run_id"}


@pytest.mark.parametrize("name", ["a[b]", "a^b", "a|b", "a\\b", "a%20b"])
def test_a_home_that_delta_cannot_take_is_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigError, match="cannot stand") as error:
        append_rows(tmp_path / name, DOCUMENT_ACCESS, [make_access_row()])
    assert error.value.next_step == "choose another home folder with --home or RAGSTONE_HOME"


@pytest.mark.parametrize("name", ["with space", "ümlaut", "100%", "#1", "a?b", "{x}", "a&b", "a:b"])
def test_other_names_of_a_home_are_taken(tmp_path, name):
    append_rows(tmp_path / name, DOCUMENT_ACCESS, [make_access_row()])
    assert read.state(tmp_path / name, DOCUMENT_ACCESS).num_rows == 1
    assert (tmp_path / name / DOCUMENT_ACCESS.path / "_delta_log").is_dir()


def test_maps_and_times_come_back_as_they_were(home):
    row = dict.fromkeys(RUNS.column_names, 0) | {
        "run_id": "r",
        "step": "embed",
        "status": "ok",
        "unit": "chunks",
        "details": "{}",
        "error": None,
        "ruleset_hash": None,
        "started_at": at(0.5),
        "finished_at": at(1),
        "tables_read": {"silver.chunks": 3},
        "tables_written": {},
    }
    append_rows(home, RUNS, [row])
    (found,) = read.query(home, "SELECT * FROM runs", runs=RUNS).to_pylist()
    assert found == {**row, "tables_read": [("silver.chunks", 3)], "tables_written": []}
    assert read.relation(home, RUNS).schema.field("started_at").type == pa.timestamp("us", tz="UTC")


def test_deltalake_refuses_what_breaks_a_constraint_that_spark_set(home):
    write_rows(home, SILVER_CHUNKS, [make_chunk_row("good")])
    constrain(home, SILVER_CHUNKS)
    append_rows(home, SILVER_CHUNKS, [make_chunk_row("another")])
    for breach in ({"chunk_id": "short"}, {"char_end": 0}, {"text": None}, {"char_end": None}):
        with pytest.raises(ContractError, match="do not fit"):
            append_rows(home, SILVER_CHUNKS, [{**make_chunk_row("a third"), **breach}])
    assert read.query(home, "SELECT * FROM t", t=SILVER_CHUNKS).num_rows == 2


def test_tombstones_alone_are_appended_where_deltalake_cannot_read_a_constraint(home):
    table = embeddings("tiny", 3)
    key = "0" * 32
    living = {**make_tombstone(table, key), "active": True, "embedding": [1.0, 0.0, 0.0], "dim": 3}
    write_rows(home, table, [living])
    constrain(home, table)
    with pytest.raises(ContractError):
        append_rows(home, table, [living])
    with pytest.raises(ContractError):
        append_tombstones(home, table, [living])
    ended = make_tombstone(table, key, event_timestamp=at(1), created_timestamp=at(2))
    version = append_tombstones(home, table, [ended], ("embed", 7))
    assert append_tombstones(home, table, [ended], ("embed", 7)) == version
    assert transaction_version(home, table, "embed") == 7
    assert read.state(home, table).num_rows == 0
    assert read.query(home, "SELECT * FROM t", t=table).num_rows == 2
    assert earliest_event_since(home, table, version - 1) == at(1)


def test_tombstones_are_held_to_a_constraint_that_binds_them_too(home):
    key = "short"
    write_rows(home, SILVER_CHUNKS, [make_chunk_row("good")])
    with pytest.raises(ContractError, match="do not fit"):
        append_tombstones(home, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, key)])
