"""Which columns of the lake's files a point-in-time join reads, by DuckDB's own plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ragstone.features import point_in_time
from ragstone.features.labels import TIME_COLUMN
from ragstone.features.point_in_time import ViewJoin, join_features
from ragstone.lake import read
from ragstone.runtime.settings import Settings
from tests.factories import at
from tests.ragstone.features.lake import EMBEDDINGS, KEPT, write_history


@pytest.mark.parametrize(("outputs", "vectors"), [(["embedding_key"], False), (["embedding_key", "embedding"], True)])
@pytest.mark.parametrize("created_before_label", [False, True])
def test_vectors_are_read_only_for_labels_that_ask_for_them(
    settings: Settings, outputs: list[str], vectors: bool, created_before_label: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_history(settings)
    labels = pa.table({"chunk_id": [KEPT["chunk_id"]], TIME_COLUMN: pa.array([at(5)], pa.timestamp("us", tz="UTC"))})
    scanned: set[str] = set()

    class Watched:
        @staticmethod
        def query(root: Path, sql: str, **relations: Any) -> pa.Table:
            plan = read.query(root, f"EXPLAIN (FORMAT JSON) {sql}", **relations)["explain_value"][0].as_py()
            scanned.update(column for node in json.loads(plan) for column in _scanned(node))
            return read.query(root, sql, **relations)

    monkeypatch.setattr(point_in_time, "read", Watched)
    join = ViewJoin(EMBEDDINGS, "chunk_id", {name: name for name in outputs})
    found = join_features(settings.lake_root, labels, TIME_COLUMN, [join], created_before_label=created_before_label)

    assert found["embedding_key"].to_pylist() == ["key of kept text"]
    assert {"embedding_key", "event_timestamp", "created_timestamp"} <= scanned
    assert ("embedding" in scanned) is vectors


def _scanned(node: dict[str, Any]) -> Iterator[str]:
    """Yield the columns that the plan's Parquet scans read."""
    if "PARQUET" in node["name"]:
        columns = node["extra_info"]["Projections"]
        yield from [columns] if isinstance(columns, str) else columns
    for child in node["children"]:
        yield from _scanned(child)
