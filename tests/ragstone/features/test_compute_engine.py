from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from feast.infra.compute_engines.local.compute import LocalComputeEngine

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.features.apply import apply
from ragstone.features.compute_engine import LakeComputeEngine, view_rows
from ragstone.features.store import open_store
from ragstone.lake import newest
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from tests.factories import at, make_chunk_row
from tests.ragstone.features.lake import later, write, write_history

VIEWS = ("chunk_metadata", "chunk_embedding_minilm_fp32", "document_access", "document_stats")
Materialize = Callable[..., Any]


@pytest.fixture
def declared(served: Settings) -> Settings:
    write_history(served)
    # A row before 1970, an empty text, an empty list, and a time with every digit.
    odd = make_chunk_row("", "odd.md", ordinal=0)
    write(served.lake_root, SILVER_CHUNKS, later(odd, -60_000_000.123_456, 50, heading_path=""))
    apply(served)
    return served


def hashes(settings: Settings) -> dict[bytes, Any]:
    with online_client(settings) as client:
        return {key: client.hgetall(key) for key in client.scan_iter() if client.type(key) == b"hash"}


def emptied(settings: Settings) -> Settings:
    with online_client(settings) as client:
        client.flushall()
    return settings


def feasts_own(store: Any) -> LocalComputeEngine:
    provider = store._get_provider()
    return LocalComputeEngine(
        repo_config=store.config, offline_store=provider.offline_store, online_store=provider.online_store
    )


def refuse_feasts_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("Feast's own way was taken")

    monkeypatch.setattr(LocalComputeEngine, "_materialize_one", refuse)


def test_plain_materialize_leaves_the_bytes_that_feasts_engine_leaves(
    declared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_feast: Any = open_store(declared)
    by_feast._get_provider()._batch_engine = feasts_own(by_feast)
    by_feast.materialize(at(-100_000_000), at(100))
    wanted = hashes(declared)

    refuse_feasts_way(monkeypatch)
    open_store(emptied(declared)).materialize(at(-100_000_000), at(100))
    assert hashes(declared) == wanted
    assert len(wanted) == 5 + 2


def test_the_store_takes_our_engine_from_its_yaml(declared: Settings) -> None:
    store: Any = open_store(declared)

    assert type(store._get_provider().batch_engine) is LakeComputeEngine


def test_a_window_leaves_out_keys_without_a_row_in_it(declared: Settings) -> None:
    open_store(declared).materialize(at(18), at(100), ["chunk_metadata"])

    # Two chunks have a row at minute 20; the others' newest is older.
    assert len(hashes(declared)) == 2


def test_rows_come_in_pieces_of_the_batch_size_and_shares_of_the_keys(
    declared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_store(declared).materialize(at(-100_000_000), at(100))
    wanted = hashes(declared)
    monkeypatch.setattr(newest, "_RANKED_ROWS", 2)
    small = declared.model_copy(update={"feast": declared.feast.model_copy(update={"write_batch_size": 2})})

    open_store(emptied(small)).materialize(at(-100_000_000), at(100))
    assert hashes(declared) == wanted


@pytest.mark.parametrize(
    "change",
    [{"ttl": timedelta(days=1)}, {"offline": True}, {"enable_validation": True}],
    ids=lambda change: next(iter(change)),
)
def test_a_view_that_does_more_goes_feasts_way(declared: Settings, change: dict[str, Any]) -> None:
    store = open_store(declared)
    view = store.get_feature_view("chunk_metadata")
    assert view_rows(view, store.config) is not None
    for name, value in change.items():
        setattr(view, name, value)

    assert view_rows(view, store.config) is None


def test_a_view_with_a_type_that_is_not_known_is_written_by_feast(
    declared: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragstone.features import compute_engine

    store = open_store(declared)
    store.materialize(at(-100_000_000), at(100), ["chunk_metadata"])
    wanted = hashes(declared)
    monkeypatch.setattr(compute_engine, "encoder", lambda *_: None)

    open_store(emptied(declared)).materialize(at(-100_000_000), at(100), ["chunk_metadata"])
    assert hashes(declared) == wanted


@pytest.mark.parametrize("setting", ["skip_dedup", "key_ttl_seconds"])
def test_a_store_that_is_to_be_written_otherwise_is_written_by_feast(declared: Settings, setting: str) -> None:
    store = open_store(declared)
    setattr(store.config.online_store, setting, None if setting == "skip_dedup" else 60)

    assert view_rows(store.get_feature_view("chunk_metadata"), store.config) is None


def test_a_redis_that_is_gone_fails_the_materialization(declared: Settings) -> None:
    import redis

    from ragstone.runtime.redis_server import stop_redis

    store = open_store(declared)
    stop_redis(declared)
    with pytest.raises(redis.RedisError):
        store.materialize(at(-10), at(100), ["chunk_metadata"])
