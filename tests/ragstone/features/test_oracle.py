"""The point-in-time join against brute force, and that brute force notices when a rule of the join is taken out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, strategies
from hypothesis import settings as hypothesis_settings

from feature_repo.objects.feature_views import feature_view
from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS
from ragstone.features import point_in_time
from ragstone.features.apply import apply
from ragstone.features.labels import TIME_COLUMN, checked_labels
from ragstone.features.offline_store import LakeOfflineStore
from ragstone.features.point_in_time import ViewJoin, join_features
from ragstone.features.repository import SPARK_STORE_YAML
from ragstone.features.store import open_store
from ragstone.features.views import CHUNK_METADATA, STATS
from ragstone.runtime.settings import Settings
from tests.ragstone.features.oracle import CHUNK_FEATURES, STATS_FEATURES, History, expected, make_history

RANDOM = strategies.randoms(use_true_random=False)
EXAMPLES = hypothesis_settings(max_examples=60, deadline=None)
SEEDS = range(30)
REFERENCES = [f"chunk_metadata:{name}" for name in CHUNK_FEATURES.values()]
REFERENCES += [f"document_stats:{name}" for name in STATS_FEATURES.values()]


@EXAMPLES
@given(RANDOM)
def test_the_join_gives_what_brute_force_gives(rng: Random) -> None:
    history = make_history(rng)

    assert by_join(history) == expected(history, history.as_of, history.created_before_label)


@EXAMPLES
@given(RANDOM)
def test_the_lakes_offline_store_gives_what_brute_force_gives(rng: Random) -> None:
    history = make_history(rng)

    assert by_store(history) == expected(history, created_before_label=history.created_before_label)


TAKEN_OUT = {
    "the later write of a tie counts": f"epoch_us(event_timestamp)::HUGEINT * {2**63} + (NOT active)::INTEGER",
    "a tombstone wins its tie": f"epoch_us(event_timestamp)::HUGEINT * {2**63} + epoch_us(created_timestamp) * 2",
}


@pytest.mark.parametrize("rule", TAKEN_OUT)
def test_brute_force_notices_an_order_without_a_rule(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_in_time, "_VERSION_ORDER", TAKEN_OUT[rule])

    assert any(map(differs, SEEDS))


def test_brute_force_notices_that_tombstones_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = point_in_time._candidates
    monkeypatch.setattr(point_in_time, "_candidates", lambda *given: f"{candidates(*given)} AND active")

    assert any(map(differs, SEEDS))


def test_nothing_differs_where_nothing_was_taken_out() -> None:
    assert not any(map(differs, SEEDS))


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.full) for seed in range(1, 12))])
def test_the_spark_store_gives_what_brute_force_gives(served: Settings, seed: int) -> None:
    # Rows that are equal in both times are not defined there, and the lake has none.
    history = make_history(Random(seed), same_times=False)
    history.write(served.lake_root)
    apply(served)
    store = open_store(served, SPARK_STORE_YAML)
    view = store.get_feature_view("chunk_metadata")
    view.ttl = history.ttl or timedelta(0)
    store.apply([view])

    labels = history.label_table().to_pandas()
    job = store.get_historical_features(labels, REFERENCES, filter_by_created_timestamp=history.created_before_label)
    found = sorted(features_of(job.to_arrow().to_pylist()), key=lambda row: row["label"])
    assert found == expected(history, created_before_label=history.created_before_label)


def differs(seed: int) -> bool:
    history = make_history(Random(seed))
    return by_join(history) != expected(history, history.as_of, history.created_before_label)


def by_join(history: History) -> list[dict[str, Any]]:
    joins = [
        ViewJoin(SILVER_CHUNKS, "chunk_id", CHUNK_FEATURES, history.ttl),
        ViewJoin(DOCUMENT_STATS, "document_id", STATS_FEATURES),
    ]
    labels = checked_labels(history.label_table(), ["chunk_id", "document_id"], [])
    with TemporaryDirectory() as folder:
        history.write(Path(folder))
        how = (history.as_of, history.created_before_label)
        return features_of(join_features(Path(folder), labels, TIME_COLUMN, joins, *how).to_pylist())


def by_store(history: History) -> list[dict[str, Any]]:
    # As people have them: a frame whose times are each in a zone of its own.
    labels = pd.DataFrame(history.labels).astype({TIME_COLUMN: object})
    with TemporaryDirectory() as folder:
        history.write(Path(folder))
        views = [feature_view(view, Path(folder)) for view in (CHUNK_METADATA, STATS)]
        views[0].ttl = history.ttl
        job = LakeOfflineStore.get_historical_features(
            None, views, REFERENCES, labels, None, "oracle", False, history.created_before_label
        )
        return features_of(job.to_arrow().to_pylist())


def features_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("label", *CHUNK_FEATURES.values(), *STATS_FEATURES.values())
    return [{name: row[name] for name in names} for row in rows]
