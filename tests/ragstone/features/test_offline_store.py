from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feast import FeatureStore

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.features.apply import apply
from ragstone.features.store import open_store
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings
from tests.factories import at, make_chunk_row, make_tombstone
from tests.ragstone.features.lake import CHUNKS, DEAD, GUIDE, KEPT, LATE, NOTES, TIED, later, write, write_history


@pytest.fixture
def store(served: Settings) -> FeatureStore:
    write_history(served)
    apply(served)
    return open_store(served)


def joined(store: FeatureStore, labels: list[tuple[str, datetime]], features: list[str], **how: Any) -> list[dict]:
    table = pa.table(
        {
            "chunk_id": [chunk for chunk, _ in labels],
            "event_timestamp": pa.array([time for _, time in labels], pa.timestamp("us", tz="UTC")),
        }
    )
    return store.get_historical_features(table, features, **how).to_arrow().to_pylist()


def test_a_label_sees_the_newest_row_not_after_it(store: FeatureStore) -> None:
    times = [at(-1), at(0), at(19.99), at(20)]
    found = joined(store, [(KEPT["chunk_id"], time) for time in times], ["chunk_metadata:ordinal"])

    assert [row["ordinal"] for row in found] == [None, 0, 0, 7]
    assert [row["event_timestamp"] for row in found] == times


def test_on_equal_event_times_the_later_write_counts_nulls_and_all(store: FeatureStore) -> None:
    features = ["chunk_metadata:token_count", "chunk_metadata:ordinal", "chunk_metadata:text"]
    (row,) = joined(store, [(TIED["chunk_id"], at(10))], features)

    assert (row["token_count"], row["ordinal"], row["text"]) == (2, None, "tied text")


def test_a_tombstone_joins_as_inactive_with_null_features(store: FeatureStore) -> None:
    features = ["chunk_metadata:text", "chunk_metadata:chunk_active", "chunk_embedding_minilm_fp32:embedding"]
    alive, dead = joined(store, [(DEAD["chunk_id"], at(9)), (DEAD["chunk_id"], at(10))], features)

    assert (alive["text"], alive["chunk_active"], alive["embedding"]) == ("dead text", True, [0.5] * 4)
    assert (dead["text"], dead["chunk_active"], dead["embedding"]) == (None, False, None)


def test_a_late_row_counts_from_its_event_time_unless_created_times_are_asked_for(store: FeatureStore) -> None:
    labels = [(LATE["chunk_id"], at(17)), (LATE["chunk_id"], at(25))]

    found = joined(store, labels, ["chunk_metadata:heading_path"])
    assert [row["heading_path"] for row in found] == ["late", "new"]
    then = joined(store, labels, ["chunk_metadata:heading_path"], filter_by_created_timestamp=True)
    assert [row["heading_path"] for row in then] == ["", "new"]


def test_every_label_comes_back_once_in_its_place(store: FeatureStore) -> None:
    labels = [
        ("no such chunk", at(1)),
        (KEPT["chunk_id"], at(30)),
        (KEPT["chunk_id"], at(30)),
        (TIED["chunk_id"], at(1)),
    ]
    found = joined(store, labels, ["chunk_metadata:ordinal"])

    assert [(row["chunk_id"], row["ordinal"]) for row in found] == [
        ("no such chunk", None),
        (KEPT["chunk_id"], 7),
        (KEPT["chunk_id"], 7),
        (TIED["chunk_id"], 3),
    ]


def test_views_of_two_entities_join_and_may_carry_their_names(store: FeatureStore) -> None:
    labels = pd.DataFrame({"chunk_id": [KEPT["chunk_id"]], "document_id": [GUIDE], "event_timestamp": [at(5)]})
    features = ["chunk_metadata:text", "document_stats:title", "document_access:acl"]
    found = store.get_historical_features(labels, features, full_feature_names=True).to_df()

    assert found["chunk_metadata__text"][0] == "kept text"
    assert found["document_stats__title"][0] == "guide"
    assert list(found["document_access__acl"][0]) == ["public"]


def test_a_ttl_hides_older_rows_and_counts_its_last_moment(store: FeatureStore) -> None:
    view = store.get_feature_view("chunk_metadata")
    view.ttl = timedelta(minutes=5)
    store.apply([view])
    labels = [(KEPT["chunk_id"], at(5)), (KEPT["chunk_id"], at(5.01)), (KEPT["chunk_id"], at(22))]

    found = joined(store, labels, ["chunk_metadata:ordinal"])
    assert [row["ordinal"] for row in found] == [0, None, 7]


def test_without_labels_every_key_of_the_window_is_one(store: FeatureStore) -> None:
    features = ["chunk_metadata:text", "chunk_metadata:chunk_active", "document_stats:change_count"]
    job = store.get_historical_features(features=features, start_date=at(5), end_date=at(20))
    found = {(row["chunk_id"], row["document_id"]): row for row in job.to_arrow().to_pylist()}

    assert set(found) == {*((chunk["chunk_id"], None) for chunk in CHUNKS), (None, GUIDE)}
    assert found[DEAD["chunk_id"], None]["chunk_active"] is False
    assert found[None, GUIDE]["change_count"] == 1
    assert NOTES not in {document for _, document in found}


@pytest.mark.parametrize(
    ("times", "told"),
    [
        (pd.to_datetime(["2026-01-01"]), "zone"),
        (["2026-01-01"], "zone"),
        (pd.to_datetime([None]).tz_localize("UTC"), "null"),
    ],
)
def test_labels_without_a_certain_time_are_refused(store: FeatureStore, times: Any, told: str) -> None:
    labels = pd.DataFrame({"chunk_id": [KEPT["chunk_id"]], "event_timestamp": times})

    with pytest.raises(UsageError, match=told):
        store.get_historical_features(labels, ["chunk_metadata:text"])


@pytest.mark.parametrize("column", ["text", "missing"])
def test_labels_that_cannot_be_joined_are_refused(store: FeatureStore, column: str) -> None:
    keys = {"chunk_id": ["x"]} if column == "text" else {}
    labels = pa.table({**keys, column: ["x"], "event_timestamp": pa.array([at(1)], pa.timestamp("us", tz="UTC"))})

    with pytest.raises(UsageError, match="cannot be joined"):
        store.get_historical_features(labels, ["chunk_metadata:text"])


def test_labels_as_sql_are_refused(store: FeatureStore) -> None:
    with pytest.raises(UsageError, match="SQL"):
        store.get_historical_features("SELECT 1", ["chunk_metadata:text"])


def test_a_pull_gives_the_newest_row_of_each_key_whatever_the_window_ends_at(store: FeatureStore) -> None:
    source = store.get_feature_view("chunk_metadata").batch_source
    job = store._get_provider().offline_store.pull_latest_from_table_or_query(
        store.config, source, ["chunk_id"], ["text", "active"], "event_timestamp", "created_timestamp", at(0), at(1)
    )
    found = {row["chunk_id"]: row for row in job.to_arrow().to_pylist()}

    assert found.keys() == {chunk["chunk_id"] for chunk in CHUNKS}
    assert found[DEAD["chunk_id"]]["active"] is False
    assert found[KEPT["chunk_id"]]["event_timestamp"] == at(20)


def test_a_table_that_does_not_exist_joins_as_nulls(served: Settings) -> None:
    apply(served)
    (row,) = joined(open_store(served), [(KEPT["chunk_id"], at(1))], ["chunk_metadata:text", "chunk_metadata:ordinal"])

    assert (row["text"], row["ordinal"]) == (None, None)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("created_before_label", [False, True])
def test_the_join_agrees_with_a_plain_search(served: Settings, seed: int, created_before_label: bool) -> None:
    rows, labels = _random_history(random.Random(seed))
    write(served.lake_root, SILVER_CHUNKS, *rows)
    apply(served)
    features = ["chunk_metadata:ordinal", "chunk_metadata:chunk_active"]
    found = joined(open_store(served), labels, features, filter_by_created_timestamp=created_before_label)

    wanted = [_newest(rows, chunk, time, created_before_label) for chunk, time in labels]
    assert [(row["ordinal"], row["chunk_active"]) for row in found] == wanted


def _random_history(rng: random.Random) -> tuple[list[dict[str, Any]], list[tuple[str, datetime]]]:
    chunks = [make_chunk_row(f"chunk {number}") for number in range(5)]
    rows = []
    for number in range(60):
        chunk, event = rng.choice(chunks), rng.randrange(10)
        # Created times strictly increase per key, event times may tie and may come late.
        row = later(chunk, event, number / 4, ordinal=number)
        if rng.random() < 0.3:
            row = make_tombstone(
                SILVER_CHUNKS, chunk["chunk_id"], event_timestamp=at(event), created_timestamp=at(number / 4)
            )
        rows.append(row)
    labels = [(rng.choice(chunks)["chunk_id"], at(rng.randrange(-10, 130) / 10)) for _ in range(80)]
    return rows, labels


def _newest(rows: list[dict[str, Any]], chunk: str, time: datetime, created_before_label: bool) -> tuple[Any, Any]:
    own = [row for row in rows if row["chunk_id"] == chunk and row["event_timestamp"] <= time]
    if created_before_label:
        own = [row for row in own if row["created_timestamp"] <= time]
    newest = max(own, key=lambda row: (row["event_timestamp"], row["created_timestamp"]), default={})
    return newest.get("ordinal"), newest.get("active")
