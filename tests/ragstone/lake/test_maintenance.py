"""Maintenance: fewer files and bytes, the same rows, constraints and transactions; and a second run does nothing."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from ragstone.contracts.migrations import before_step
from ragstone.contracts.tables import BRONZE_DOCUMENTS, DOCUMENT_ACCESS, SILVER_CHUNKS, embeddings
from ragstone.lake import read
from ragstone.lake.catalog import present_table, present_tables
from ragstone.lake.delta import append_rows, open_table, table_path, table_version, transaction_version
from ragstone.lake.maintenance import clustered_by, maintain_table, table_size
from ragstone.lake.rewrite import rewritable
from ragstone.runtime.errors import UsageError
from tests.factories import constrain, make_access_row, make_bronze_row, make_chunk_row, write_rows
from tests.ragstone.features.lake import EMBEDDINGS, make_embedding_row

HOURS = 168


@pytest.fixture
def grown(home):
    for number in range(5):
        row = make_chunk_row(f"text number {number}", f"{number % 3}.md")
        append_rows(home, replace(SILVER_CHUNKS, constraints={}), [row], txn=("preprocess", number))
        write_rows(home, EMBEDDINGS, [make_embedding_row(row)])
    for spec in (SILVER_CHUNKS, EMBEDDINGS):
        constrain(home, spec)
    return home


def _rows(home, spec=SILVER_CHUNKS):
    return sorted(read.query(home, "SELECT * FROM t", t=spec).to_pylist(), key=lambda row: row[spec.keys[0]])


def test_many_small_files_become_one_with_the_same_rows(grown):
    before = _rows(grown)
    done = maintain_table(grown, SILVER_CHUNKS, HOURS)
    assert (done.before.files, done.after.files, done.rewritten_files) == (5, 1, 5)
    assert done.after.bytes < done.before.bytes
    assert _rows(grown) == before


def test_constraints_transactions_and_the_reader_version_stay(grown):
    before = open_table(grown, SILVER_CHUNKS).metadata()
    maintain_table(grown, SILVER_CHUNKS, HOURS)
    after = open_table(grown, SILVER_CHUNKS)
    assert (after.metadata().configuration, after.metadata().id) == (before.configuration, before.id)
    assert after.protocol().min_reader_version == 1
    assert transaction_version(grown, SILVER_CHUNKS, "preprocess") == 4


def test_chunks_are_put_in_the_order_they_are_looked_up_by(grown):
    maintain_table(grown, SILVER_CHUNKS, HOURS)
    documents = open_table(grown, SILVER_CHUNKS).to_pyarrow_table(columns=["document_id"])["document_id"].to_pylist()
    assert documents == sorted(documents)
    maintain_table(grown, EMBEDDINGS, HOURS)
    ids = open_table(grown, EMBEDDINGS).to_pyarrow_table(columns=["chunk_id"])["chunk_id"].to_pylist()
    assert ids == sorted(ids)
    assert clustered_by(DOCUMENT_ACCESS) == ()


def test_a_second_run_right_after_changes_nothing(grown):
    maintain_table(grown, SILVER_CHUNKS, HOURS)
    version, size = table_version(grown, SILVER_CHUNKS), table_size(grown, SILVER_CHUNKS)
    done = maintain_table(grown, SILVER_CHUNKS, HOURS)
    assert (done.rewritten_files, done.removed_files, done.migrated) == (0, 0, ())
    assert (table_version(grown, SILVER_CHUNKS), table_size(grown, SILVER_CHUNKS)) == (version, size)


def test_a_few_small_files_are_not_worth_a_commit(home):
    for number in range(3):
        write_rows(home, DOCUMENT_ACCESS, [make_access_row(f"{number}.md")])
    assert maintain_table(home, DOCUMENT_ACCESS, HOURS).rewritten_files == 0
    assert table_version(home, DOCUMENT_ACCESS) == 3


def test_files_are_kept_for_the_retention_and_removed_after_it(grown):
    first = maintain_table(grown, SILVER_CHUNKS, HOURS)
    assert first.removed_files == 0
    # Readers of the version before the compaction still have their files.
    assert open_table(grown, SILVER_CHUNKS, version=5).to_pyarrow_table().num_rows == 5
    _age(grown, hours=HOURS + 1)
    assert maintain_table(grown, SILVER_CHUNKS, HOURS).removed_files == 5
    assert table_size(grown, SILVER_CHUNKS).files == 1
    assert len(_rows(grown)) == 5


def test_what_a_killed_writer_left_goes_too(grown):
    left = table_path(grown, SILVER_CHUNKS) / "part-left-behind.snappy.parquet"
    left.write_bytes(b"half a file")
    stray = table_path(grown, SILVER_CHUNKS) / ".part-gone.snappy.parquet.crc"
    stray.write_bytes(b"crc")
    os.utime(left, (0, 0))
    assert maintain_table(grown, SILVER_CHUNKS, HOURS).removed_files == 2
    assert not left.exists()
    assert not stray.exists()


def test_a_dry_run_tells_the_same_and_changes_nothing(grown):
    version, size = table_version(grown, SILVER_CHUNKS), table_size(grown, SILVER_CHUNKS)
    told = maintain_table(grown, SILVER_CHUNKS, HOURS, dry_run=True)
    assert (told.rewritten_files, told.before, told.after) == (5, size, size)
    assert (table_version(grown, SILVER_CHUNKS), table_size(grown, SILVER_CHUNKS)) == (version, size)
    assert maintain_table(grown, SILVER_CHUNKS, HOURS).rewritten_files == told.rewritten_files


def test_files_of_readers_at_work_cannot_be_taken(grown):
    with pytest.raises(UsageError, match="readers that are at work"):
        maintain_table(grown, SILVER_CHUNKS, 0)
    assert table_size(grown, SILVER_CHUNKS).files == 5


def test_a_long_log_gets_a_checkpoint_that_readers_take(home):
    for number in range(11):
        append_rows(home, DOCUMENT_ACCESS, [make_access_row(f"{number}.md")], txn=("app", number))
    maintain_table(home, DOCUMENT_ACCESS, HOURS)
    log = table_path(home, DOCUMENT_ACCESS) / "_delta_log"
    assert len(list(log.glob("*.checkpoint.parquet"))) == 1
    for commit in sorted(log.glob("*.json"))[:-1]:
        commit.unlink()
    assert len(_rows(home, DOCUMENT_ACCESS)) == 11
    assert transaction_version(home, DOCUMENT_ACCESS, "app") == 10


def test_an_earlier_table_is_migrated_and_an_open_one_is_closed(home):
    old = replace(before_step(BRONZE_DOCUMENTS, 0), constraints={})
    append_rows(home, old, [{name: make_bronze_row().get(name) for name in old.column_names}])
    assert maintain_table(home, BRONZE_DOCUMENTS, HOURS).migrated == ("source_version",)
    with rewritable(home, BRONZE_DOCUMENTS) as table:
        assert table.metadata().configuration["delta.appendOnly"] == "false"
        # As a run leaves it that dies before it closes the table.
        maintain_table(home, BRONZE_DOCUMENTS, HOURS)
        assert open_table(home, BRONZE_DOCUMENTS).metadata().configuration["delta.appendOnly"] == "true"


def test_the_tables_of_a_lake_are_those_of_the_contract_and_of_every_space(grown):
    write_rows(grown, embeddings("other", 4), [make_embedding_row(make_chunk_row("x"))])
    names = [spec.name for spec in present_tables(grown)]
    assert names == ["silver.chunks", "silver.embeddings_minilm_fp32", "silver.embeddings_other"]
    assert present_table(grown, "silver.chunks") == SILVER_CHUNKS
    with pytest.raises(UsageError, match="no such table"):
        present_table(grown, "silver.nothing")


def _age(home, hours):
    """Make every file and every removal of a table older, as if so many hours had passed."""
    folder = table_path(home, SILVER_CHUNKS)
    for path in folder.glob("*.parquet"):
        os.utime(path, (path.stat().st_mtime - hours * 3_600,) * 2)
    for commit in (folder / "_delta_log").glob("*.json"):
        commit.write_text(_earlier(commit.read_text("utf-8"), hours * 3_600_000), "utf-8")


def _earlier(actions, milliseconds):
    lines = [json.loads(line) for line in actions.splitlines()]
    for line in lines:
        if "remove" in line:
            line["remove"]["deletionTimestamp"] -= milliseconds
    return "".join(json.dumps(line) + "\n" for line in lines)
