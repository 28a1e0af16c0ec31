"""The index is read straight from the lake, for speed; this holds it equal to what Feast's own offline store gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
from feast import FeatureStore

from ragstone.contracts.names import INDEX_SERVICE
from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.features.apply import apply
from ragstone.features.offline_store import LakeOfflineStore
from ragstone.features.store import open_store
from ragstone.lake.vectors import fill_matrix, index_rows
from ragstone.runtime.settings import Settings
from tests.factories import at, make_chunk_row, make_tombstone
from tests.ragstone.features.lake import DIM, EMBEDDINGS, SPACE, make_embedding_row, write, write_history

SINCE_EVER = datetime(2000, 1, 1, tzinfo=UTC)


def latest(store: FeatureStore) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the newest row of every key, tombstones included, for each view that an index is built from."""
    found = {}
    in_service = [view.name for view in store.get_feature_service(INDEX_SERVICE).feature_view_projections]
    for name in (*in_service, "document_access"):
        view = store.get_feature_view(name)
        names = [feature.name for feature in view.features]
        (key,) = view.join_keys
        source = view.batch_source
        columns = [source.field_mapping.get(name, name) for name in names]
        original = {renamed: name for name, renamed in source.field_mapping.items()}
        job = LakeOfflineStore.pull_latest_from_table_or_query(
            store.config,
            source,
            [key],
            [original.get(name, name) for name in columns],
            source.timestamp_field,
            source.created_timestamp_column,
            SINCE_EVER,
            datetime.now(UTC),
        )
        found[view.name] = {row[key]: row for row in job.to_arrow().to_pylist()}
    return found


def test_index_rows_are_the_living_rows_of_feasts_offline_store(served: Settings) -> None:
    write_history(served)
    write(served.lake_root, DOCUMENT_ACCESS, make_tombstone(DOCUMENT_ACCESS, "gone", event_timestamp=at(5)))
    tilted = make_chunk_row("tilted text", "guide.md", ordinal=5)
    write(served.lake_root, EMBEDDINGS, make_embedding_row(tilted, embedding=[1.0, 0.0, 0.0, 0.0]))
    apply(served)
    views = latest(open_store(served))

    rows = index_rows(served.lake_root, SPACE, DIM)
    matrix = np.zeros((rows.table.num_rows, DIM), np.float32)
    fill_matrix(served.lake_root, SPACE, rows, matrix)
    chunks, access = views["chunk_metadata"], views["document_access"]
    vectors = views[f"chunk_embedding_{SPACE}"]
    expected = {
        chunk_id: (chunk["document_id"], chunk["text_hash"], vectors[chunk_id]["embedding"])
        for chunk_id, chunk in chunks.items()
        if chunk["active"]
        and vectors.get(chunk_id, {}).get("active")
        and access.get(chunk["document_id"], {}).get("active")
    }
    built = zip(rows.table.to_pylist(), matrix.tolist(), strict=True)
    assert {row["chunk_id"]: (row["document_id"], row["text_hash"], vector) for row, vector in built} == expected
    assert 0 < len(expected) < len(chunks)
