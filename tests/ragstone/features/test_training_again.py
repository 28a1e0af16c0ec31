"""A training set after it was pulled: pulled again, explained, compared, named in Feast's registry."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from ragstone.contracts.tables import SILVER_CHUNKS, SILVER_DOCUMENTS
from ragstone.features.apply import apply
from ragstone.features.saved_dataset import save_dataset
from ragstone.features.store import open_store
from ragstone.features.training import training_set, training_set_again
from ragstone.features.training_diff import diff
from ragstone.features.training_explain import explain
from ragstone.lake.delta import table_path
from ragstone.runtime.errors import BadInputError, ContractError, UsageError
from ragstone.runtime.settings import Settings
from tests.factories import at, make_document_row
from tests.ragstone.features.lake import DEAD, GUIDE, KEPT, LATE, history, later, write, write_history

TIME = pa.timestamp("us", tz="UTC")
TABLES = [spec for spec, _ in history()]


@pytest.fixture
def lake(served: Settings) -> Settings:
    write_history(served)
    apply(served)
    return served


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    judged = [(KEPT, 5, 1), (KEPT, 25, 0), (DEAD, 25, 1), (LATE, 17, 1), (LATE, -50, 0)]
    path = tmp_path / "labels.parquet"
    pq.write_table(
        pa.table(
            {
                "chunk_id": [chunk["chunk_id"] for chunk, _, _ in judged],
                "event_timestamp": pa.array([at(minute) for _, minute, _ in judged], TIME),
                "relevant": [relevant for _, _, relevant in judged],
            }
        ),
        path,
    )
    return path


@pytest.fixture
def pulled(lake: Settings, labels: Path, tmp_path: Path) -> Path:
    training_set(lake, labels).write(tmp_path / "set.parquet")
    return tmp_path / "set.parquet"


def written_later(row: dict[str, Any], event: float, **changes: Any) -> dict[str, Any]:
    """Return a version learned at that minute after day zero, but written only after now."""
    return {**later(row, event, 0, **changes), "created_timestamp": datetime.now(UTC) + timedelta(seconds=1)}


def lose(lake: Settings, chunk: Mapping[str, Any]) -> None:
    """Write the table of chunks again without any version of a chunk."""
    rows = next(rows for spec, rows in history() if spec is SILVER_CHUNKS)
    shutil.rmtree(table_path(lake.lake_root, SILVER_CHUNKS))
    write(lake.lake_root, SILVER_CHUNKS, *(row for row in rows if row["chunk_id"] != chunk["chunk_id"]))


def test_its_manifest_gives_equal_rows_after_late_rows_optimize_and_vacuum(lake: Settings, pulled: Path) -> None:
    before = pq.read_table(pulled)
    write(lake.lake_root, SILVER_CHUNKS, written_later(KEPT, 4, ordinal=99), written_later(LATE, 16, ordinal=98))
    for spec in TABLES:
        table = DeltaTable(str(table_path(lake.lake_root, spec)))
        table.optimize.compact()
        table.vacuum(0, dry_run=False, enforce_retention_duration=False)

    assert training_set_again(lake, pulled).table.equals(before)
    assert training_set(lake, pulled.with_name("labels.parquet")).table["ordinal"].to_pylist()[0] == 0


def test_late_rows_would_have_changed_a_set_that_is_pulled_without_its_bounds(lake: Settings, labels: Path) -> None:
    before = training_set(lake, labels).table
    row = later(KEPT, 4, 0, ordinal=99)
    write(lake.lake_root, SILVER_CHUNKS, {**row, "created_timestamp": datetime.now(UTC)})

    assert not training_set(lake, labels).table.equals(before)


def test_labels_that_moved_are_found_where_they_are_said_to_be(lake: Settings, pulled: Path, labels: Path) -> None:
    moved = labels.rename(labels.with_name("moved.parquet"))
    with pytest.raises(BadInputError, match="not there") as missing:
        training_set_again(lake, pulled)
    assert "--labels" in (missing.value.next_step or "")
    assert training_set_again(lake, pulled, moved).table.num_rows == 5


def test_other_labels_are_refused(lake: Settings, pulled: Path, labels: Path) -> None:
    pq.write_table(pq.read_table(labels).slice(1), labels)
    with pytest.raises(BadInputError, match="not those"):
        training_set_again(lake, pulled)


def test_views_with_other_features_are_refused(lake: Settings, pulled: Path) -> None:
    manifest = pulled.with_name("set.parquet.manifest.json")
    told = json.loads(manifest.read_text("utf-8"))
    told["views"]["document_stats"] = "another identity"
    manifest.write_text(json.dumps(told), "utf-8")
    with pytest.raises(ContractError) as refused:
        training_set_again(lake, pulled)
    assert refused.value.where == "document_stats"


def test_a_lake_that_lost_rows_is_refused(lake: Settings, pulled: Path) -> None:
    lose(lake, KEPT)
    with pytest.raises(ContractError, match="cannot be pulled again"):
        training_set_again(lake, pulled)


def test_a_file_without_manifest_is_refused(lake: Settings, labels: Path) -> None:
    with pytest.raises(BadInputError, match="manifest"):
        training_set_again(lake, labels)


def test_each_value_is_traced_to_its_row_times_and_document(lake: Settings, pulled: Path) -> None:
    write(lake.lake_root, SILVER_DOCUMENTS, make_document_row("kept text", "guide.md"))
    found = explain(lake, pulled, 1)

    assert (found.label["chunk_id"], found.label["relevant"]) == (KEPT["chunk_id"], 0)
    assert found.document is not None
    assert (found.document.document_id, found.document.source_uri) == (GUIDE, "guide.md")
    chunk = next(view for view in found.views if view.view == "chunk_metadata")
    assert (chunk.table, chunk.key) == ("silver.chunks", KEPT["chunk_id"])
    assert (chunk.event_timestamp, chunk.created_timestamp, chunk.run_id) == (at(20), at(21), "run-1")
    values = {value.feature: value for value in chunk.values}
    assert (values["ordinal"].value, values["ordinal"].column) == (7, "silver.chunks.ordinal")
    assert all(value.same_in_lake for view in found.views for value in view.values)


def test_what_nothing_was_known_of_has_no_origin(lake: Settings, pulled: Path) -> None:
    chunk = next(view for view in explain(lake, pulled, 4).views if view.view == "chunk_metadata")
    assert (chunk.event_timestamp, chunk.run_id) == (None, None)
    assert all(value.value is None for value in chunk.values)


def test_a_value_that_the_lake_no_longer_gives_is_told(lake: Settings, pulled: Path) -> None:
    lose(lake, KEPT)
    chunk = next(view for view in explain(lake, pulled, 0).views if view.view == "chunk_metadata")
    assert not next(value for value in chunk.values if value.feature == "text").same_in_lake


@pytest.mark.parametrize("row", [-1, 5])
def test_a_row_that_is_not_there_is_refused(lake: Settings, pulled: Path, row: int) -> None:
    with pytest.raises(UsageError, match="no such row"):
        explain(lake, pulled, row)


def test_a_set_pulled_twice_is_equal_to_itself(lake: Settings, pulled: Path, labels: Path) -> None:
    other = pulled.with_name("other.parquet")
    training_set(lake, labels).write(other)
    found = diff(pulled, other)
    assert found.equal
    assert set(found.manifest) == {"as_of"}


def test_two_sets_are_compared_by_label_and_by_feature(lake: Settings, pulled: Path, labels: Path) -> None:
    write(lake.lake_root, SILVER_CHUNKS, {**later(KEPT, 24, 0, ordinal=8), "created_timestamp": datetime.now(UTC)})
    pq.write_table(pq.read_table(labels).slice(0, 4), labels)
    other = pulled.with_name("other.parquet")
    training_set(lake, labels).write(other)
    found = diff(pulled, other)
    assert (found.labels_kept, found.labels_added, found.labels_removed) == (4, 0, 1)
    [change] = [change for change in found.changes if change.feature == "ordinal"]
    assert (change.rows, change.row, change.before, change.after) == (1, 1, 7, 8)
    assert not any(change.feature == "embedding" for change in found.changes)
    assert not found.equal


def test_a_vector_that_differs_is_told(pulled: Path) -> None:
    other = pulled.with_name("other.parquet")
    rows = pq.read_table(pulled)
    vectors = rows["embedding"].to_pylist()
    vectors[0] = [0.5, 0.5, 0.5, 0.25]
    place = rows.column_names.index("embedding")
    pq.write_table(rows.set_column(place, "embedding", pa.array(vectors, rows["embedding"].type)), other)
    pulled.with_name("other.parquet.manifest.json").write_bytes(
        pulled.with_name("set.parquet.manifest.json").read_bytes()
    )
    assert [(change.feature, change.rows) for change in diff(pulled, other).changes] == [("embedding", 1)]


def test_feast_finds_it_again_by_its_name(lake: Settings, pulled: Path) -> None:
    save_dataset(lake, "judged", pulled)
    with pytest.warns(RuntimeWarning, match="experimental"):
        found = open_store(lake).get_saved_dataset("judged").to_df()
    wanted = pq.read_table(pulled).to_pandas()
    assert found["relevant"].tolist() == wanted["relevant"].tolist()
    assert found["text"].tolist() == wanted["text"].tolist()
