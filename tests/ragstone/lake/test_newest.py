from __future__ import annotations

import shutil
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS
from ragstone.lake import newest, read
from ragstone.lake.delta import table_path
from ragstone.lake.newest import newest_batches
from ragstone.runtime.settings import Settings
from tests.ragstone.features.lake import write_history

COLUMNS = ("chunk_id", "ordinal", "text", "active", "event_timestamp")


def streamed(settings: Settings, **arguments: Any) -> list[dict[str, Any]]:
    batches = newest_batches(settings.lake_root, SILVER_CHUNKS, COLUMNS, **arguments)
    return sorted((row for batch in batches for row in batch.to_pylist()), key=lambda row: row["chunk_id"])


def by_the_state_rule(settings: Settings) -> list[dict[str, Any]]:
    rows = read.newest_rows(settings.lake_root, SILVER_CHUNKS, columns=COLUMNS)
    return list(rows.sort_by("chunk_id").to_pylist())


@pytest.mark.parametrize("ranked_rows", [1, 3, 1_000])
def test_the_rows_are_those_of_the_state_rule(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ranked_rows: int
) -> None:
    write_history(settings)
    monkeypatch.setattr(newest, "_RANKED_ROWS", ranked_rows)

    assert streamed(settings, batch_rows=2) == by_the_state_rule(settings)


def test_compacting_the_table_changes_nothing(settings: Settings) -> None:
    write_history(settings)
    wanted = streamed(settings)
    DeltaTable(str(table_path(settings.lake_root, SILVER_CHUNKS))).optimize.compact()

    assert streamed(settings) == wanted


def test_a_table_that_does_not_exist_has_no_rows(settings: Settings) -> None:
    assert list(newest_batches(settings.lake_root, DOCUMENT_STATS, ("document_id",))) == []


def test_a_column_that_an_older_file_lacks_is_null_there(settings: Settings) -> None:
    write_history(settings)
    path = table_path(settings.lake_root, DOCUMENT_STATS)
    rows = DeltaTable(str(path)).to_pyarrow_table()
    shutil.rmtree(path)
    write_deltalake(path, rows.drop_columns(["title"]))
    title = pa.array(["new"], pa.string())
    newer = rows.slice(0, 1).set_column(rows.schema.get_field_index("title"), "title", title)
    newer = newer.set_column(
        newer.schema.get_field_index("document_id"), "document_id", pa.array(["another"], pa.string())
    )
    write_deltalake(path, newer, mode="append", schema_mode="merge")

    found = [
        row
        for batch in newest_batches(settings.lake_root, DOCUMENT_STATS, ("document_id", "title"))
        for row in batch.to_pylist()
    ]
    assert {row["title"] for row in found if row["document_id"] != "another"} == {None}
    assert [row["title"] for row in found if row["document_id"] == "another"] == ["new"]
