from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.features import point_in_time
from ragstone.features.apply import apply
from ragstone.features.training import training_set
from ragstone.features.training_manifest import TrainingManifest
from ragstone.runtime.errors import ContractError, UsageError
from ragstone.runtime.settings import Settings
from tests.factories import at
from tests.ragstone.features.lake import DEAD, GUIDE, KEPT, LATE, NOTES, later, write, write_history

TIME = pa.timestamp("us", tz="UTC")


@pytest.fixture
def lake(served: Settings) -> Settings:
    write_history(served)
    apply(served)
    return served


def labels(*judged: tuple[dict[str, Any], datetime, int]) -> pa.Table:
    return pa.table(
        {
            "chunk_id": [chunk["chunk_id"] for chunk, _, _ in judged],
            "event_timestamp": pa.array([time for _, time, _ in judged], TIME),
            "relevant": [relevant for _, _, relevant in judged],
        }
    )


def test_features_are_as_they_were_at_each_label(lake: Settings) -> None:
    found = training_set(lake, labels((KEPT, at(5), 1), (KEPT, at(25), 0), (DEAD, at(25), 1))).table.to_pylist()

    assert [row["relevant"] for row in found] == [1, 0, 1]
    assert [row["ordinal"] for row in found] == [0, 7, None]
    assert [row["change_count"] for row in found] == [0, 1, 1]
    assert [row["chunk_active"] for row in found] == [True, True, False]
    assert [row["embedding"] for row in found] == [[0.5] * 4, [0.5] * 4, None]
    assert [row["document_id"] for row in found] == [GUIDE] * 3
    assert [row["chunk_metadata__event_timestamp"] for row in found] == [at(0), at(20), at(10)]


def test_no_feature_is_newer_than_its_label(lake: Settings) -> None:
    judged = [(chunk, at(minute / 2), 1) for chunk in (KEPT, DEAD, LATE) for minute in range(-4, 60)]
    table = training_set(lake, labels(*judged)).table

    times = [name for name in table.column_names if name.endswith("__event_timestamp")]
    assert len(times) == 3
    for row in table.to_pylist():
        assert all(row[name] is None or row[name] <= row["event_timestamp"] for name in times)


def test_a_leak_is_refused(lake: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def newest_of_all(join: Any, rows: str, time_column: str) -> str:
        row = point_in_time._ROW
        return f"""SELECT l.{row}, l.{time_column} AS label_time, r.* FROM labels l
            JOIN ({rows}) r ON {point_in_time._on_keys(join)}
            QUALIFY row_number() OVER (PARTITION BY l.{row} ORDER BY r.version_order DESC) = 1"""

    monkeypatch.setattr(point_in_time, "_newest", newest_of_all)
    with pytest.raises(ContractError, match="after its own time"):
        training_set(lake, labels((KEPT, at(5), 1)))


def test_bounds_on_the_past_give_the_past(lake: Settings) -> None:
    judged = labels((KEPT, at(100), 1), (LATE, at(100), 1))

    before = training_set(lake, judged, as_of=AsOf(known_by=at(16))).table.to_pylist()
    assert [(row["ordinal"], row["heading_path"]) for row in before] == [(0, ""), (2, "late")]
    as_served = training_set(lake, judged, as_of=AsOf(known_by=at(16), written_by=at(16))).table.to_pylist()
    assert [row["heading_path"] for row in as_served] == ["", ""]
    after = training_set(lake, judged).table.to_pylist()
    assert [(row["ordinal"], row["heading_path"]) for row in after] == [(7, ""), (2, "new")]


def test_created_times_can_bound_each_label(lake: Settings) -> None:
    found = training_set(lake, labels((LATE, at(17), 1)), created_before_label=True).table.to_pylist()

    assert found[0]["heading_path"] == ""


def test_it_is_pulled_from_a_file_and_written_with_its_manifest(lake: Settings, tmp_path: Path) -> None:
    source, target = tmp_path / "labels.parquet", tmp_path / "out" / "set.parquet"
    pq.write_table(labels((KEPT, at(5), 1), (LATE, at(-50), 0)), source)
    manifest_path = training_set(lake, source, as_of=AsOf(known_by=at(90))).write(target)

    assert pq.read_table(target).num_rows == 2
    assert manifest_path == tmp_path / "out" / "set.parquet.manifest.json"
    manifest = json.loads(manifest_path.read_text("utf-8"))
    assert manifest["service"] == "training_v1"
    assert datetime.fromisoformat(manifest["as_of"]["known_by"]) == at(90)
    assert manifest["as_of"]["written_by"] is not None
    assert manifest["table_versions"] == {
        "silver.chunks": 1,
        "silver.embeddings_minilm_fp32": 1,
        "silver.document_stats": 1,
    }
    told = TrainingManifest.model_validate(manifest).labels
    assert (told.rows, told.first, told.last, told.path) == (2, at(-50), at(5), source)
    assert manifest["rows"] == 2
    assert manifest["rows_without"] == {"chunk_metadata": 1, "chunk_embedding_minilm_fp32": 1, "document_stats": 1}


def test_documents_of_the_labels_are_kept_when_they_are_given(lake: Settings) -> None:
    given = labels((KEPT, at(5), 1)).append_column("document_id", pa.array([NOTES]))

    assert training_set(lake, given).table["title"].to_pylist() == ["notes"]


def test_more_rows_later_change_nothing_for_the_same_bounds(lake: Settings) -> None:
    judged, bounds = labels((KEPT, at(100), 1), (LATE, at(17), 1)), AsOf(written_by=at(50))
    before = training_set(lake, judged, as_of=bounds).table
    write(lake.lake_root, SILVER_CHUNKS, later(KEPT, 60, 61, ordinal=99), later(LATE, 16, 62, heading_path="later"))

    assert training_set(lake, judged, as_of=bounds).table.equals(before)


def test_an_unknown_service_is_refused_and_the_known_are_named(lake: Settings) -> None:
    with pytest.raises(UsageError, match="training_v1"):
        training_set(lake, labels((KEPT, at(5), 1)), service="training_v9")


def test_labels_without_zone_are_refused(lake: Settings) -> None:
    naive = pa.table({"chunk_id": ["x"], "event_timestamp": pa.array([datetime(2026, 1, 1)], pa.timestamp("us"))})

    with pytest.raises(UsageError, match="zone"):
        training_set(lake, naive)


def test_no_labels_give_no_rows_with_every_column(lake: Settings) -> None:
    found = training_set(lake, labels((KEPT, at(5), 1)).slice(0, 0))

    assert found.table.num_rows == 0
    assert "embedding" in found.table.column_names
    told = found.manifest.labels
    assert (told.rows, told.first, told.last, told.path) == (0, None, None, None)


def test_a_label_without_a_key_has_no_features(lake: Settings) -> None:
    nameless = labels((KEPT, at(5), 1)).set_column(0, "chunk_id", pa.array([None], pa.string()))

    assert training_set(lake, nameless).table["text"].to_pylist() == [None]
