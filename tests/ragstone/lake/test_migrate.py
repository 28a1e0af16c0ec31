"""Every table with declared steps, taken from each earlier version to its contract."""

from __future__ import annotations

from dataclasses import replace

import pytest
from deltalake import DeltaTable

from ragstone.contracts.migrations import MIGRATIONS, before_step, migrations
from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS, FEEDBACK, QUARANTINE, RETRIEVALS, RUNS, STATIC_TABLES
from ragstone.lake import read
from ragstone.lake.delta import append_rows, open_table, table_path, transaction_version
from ragstone.lake.migrate import migrate, migrate_all, pending_migrations
from ragstone.lake.ops import recorded_run
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.errors import ContractError
from tests.factories import at, make_bronze_row, make_envelope, make_retrieval_row, write_rows

EARLIER = [(spec, number) for spec in STATIC_TABLES for number in range(len(migrations(spec)))]


def _make_quarantine_row():
    texts = dict.fromkeys(("entry_id", "step", "dataset", "item_key", "reason", "run_id", "resolution", "note"), "said")
    return {**dict.fromkeys(QUARANTINE.column_names), **texts, "failed_rules": ["a rule"], "recorded_at": at(1)}


def _make_feedback_row():
    texts = dict.fromkeys(("feedback_id", "answer_id", "principal", "chunk_id", "corrected_answer", "comment"), "said")
    return {**texts, "score": 1, "event_timestamp": at(1), "created_timestamp": at(2)}


ROWS = {
    BRONZE_DOCUMENTS.name: make_bronze_row,
    QUARANTINE.name: _make_quarantine_row,
    FEEDBACK.name: _make_feedback_row,
    RETRIEVALS.name: make_retrieval_row,
}


@pytest.fixture
def earlier_bronze(home):
    """A bronze table as it was before `source_version`, with a constraint, a transaction and a row."""
    old = replace(before_step(BRONZE_DOCUMENTS, 0), constraints={})
    append_rows(home, old, [_row_of(old)], txn=("ingest", 7))
    name, condition = next(iter(BRONZE_DOCUMENTS.constraints.items()))
    DeltaTable(str(table_path(home, old))).alter.add_constraint({name: condition})
    return home


def _row_of(spec):
    row = ROWS[spec.name]()
    return {name: row[name] for name in spec.column_names}


def test_every_declared_step_names_a_table_and_nullable_columns_of_it():
    by_name = {spec.name: spec for spec in STATIC_TABLES}
    assert MIGRATIONS.keys() <= by_name.keys()
    assert all(by_name[name].column(step.column).nullable for name, steps in MIGRATIONS.items() for step in steps)


@pytest.mark.parametrize(("spec", "number"), EARLIER, ids=lambda value: getattr(value, "name", value))
def test_a_table_of_each_earlier_version_is_migrated_then_read_and_appended_to(home, spec, number):
    old = replace(before_step(spec, number), constraints={})
    append_rows(home, old, [_row_of(old)], txn=("step", 3))
    with pytest.raises(ContractError, match="other columns than its contract") as refused:
        open_table(home, spec)
    assert "ragstone maintain" in refused.value.next_step

    assert migrate(home, spec) == [step.column for step in migrations(spec)[number:]]

    row = ROWS[spec.name]()
    write_rows(home, spec, [row])
    found = read.query(home, f"SELECT {', '.join(spec.column_names)} FROM t", t=spec).to_pylist()
    gained = {step.column for step in migrations(spec)[number:]}
    assert sorted((_plain(kept, spec) for kept in found), key=str) == sorted(
        [_plain(row, spec), _plain({**row, **dict.fromkeys(gained)}, spec)], key=str
    )
    assert transaction_version(home, spec, "step") == 3
    assert open_table(home, spec).protocol().min_reader_version == 1


def _plain(row, spec):
    return {
        name: dict(value) if isinstance(value := row.get(name), list | dict) and not value else value
        for name in spec.column_names
    }


def test_constraints_and_properties_from_creation_survive(earlier_bronze):
    before = DeltaTable(str(table_path(earlier_bronze, BRONZE_DOCUMENTS))).metadata()
    migrate(earlier_bronze, BRONZE_DOCUMENTS)
    after = open_table(earlier_bronze, BRONZE_DOCUMENTS).metadata()
    assert (after.configuration, after.id) == (before.configuration, before.id)
    with pytest.raises(ContractError, match="none was written"):
        write_rows(earlier_bronze, BRONZE_DOCUMENTS, [make_bronze_row(change="invented")])


def test_a_new_column_holds_what_is_appended_afterwards(earlier_bronze):
    migrate(earlier_bronze, BRONZE_DOCUMENTS)
    write_rows(earlier_bronze, BRONZE_DOCUMENTS, [make_bronze_row(make_envelope("b.md"), source_version="etag")])
    found = read.query(earlier_bronze, "SELECT source_uri, source_version, landing_batch FROM t", t=BRONZE_DOCUMENTS)
    assert {row["source_uri"]: row["source_version"] for row in found.to_pylist()} == {"guide.md": None, "b.md": "etag"}
    assert found["landing_batch"].to_pylist() == [1, 1]


def test_a_second_migration_commits_nothing(earlier_bronze):
    assert migrate_all(earlier_bronze, STATIC_TABLES) == {BRONZE_DOCUMENTS.name: ["source_version"]}
    version = open_table(earlier_bronze, BRONZE_DOCUMENTS).version()
    assert migrate_all(earlier_bronze, STATIC_TABLES) == {}
    assert pending_migrations(earlier_bronze, BRONZE_DOCUMENTS) == []
    assert open_table(earlier_bronze, BRONZE_DOCUMENTS).version() == version


def test_every_step_finds_its_tables_migrated(settings):
    old = replace(before_step(BRONZE_DOCUMENTS, 0), constraints={})
    append_rows(settings.lake_root, old, [_row_of(old)])

    def step(given, _run_id):
        return StepResult(
            "validate", "ok", "documents", accepted=read.relation(given.lake_root, BRONZE_DOCUMENTS).count_rows()
        )

    assert recorded_run("validate", step, settings, "run-1").accepted == 1
    assert read.query(settings.lake_root, "SELECT status FROM runs", runs=RUNS)["status"].to_pylist() == ["ok"]


def test_a_column_that_no_step_declares_is_refused(home):
    stranger = replace(RUNS, columns=(*RUNS.columns, replace(RUNS.column("error"), name="stranger")))
    table = DeltaTable.create(str(table_path(home, RUNS)), arrow_schema(stranger))
    assert table.version() == 0
    assert migrate(home, RUNS) == []
    with pytest.raises(ContractError, match="other columns") as refused:
        open_table(home, RUNS)
    assert "stranger" in str(refused.value.got)
