"""Materializing chunks with their text and their vectors into Redis, against Feast's local engine on the same rows.

Both are `feast materialize` of the same views in one process, which differ in the engine alone, and leave the same
bytes in Redis. What is counted is the processor time of that process, without Redis's own.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import multiprocessing
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from feast import FeatureStore
from feast.infra.compute_engines.local.compute import LocalComputeEngine

from bench import made_up
from bench.harness import Measurement, Scale, check_equal, interleave, tell
from bench.homes import temporary_home
from bench.process_memory import peak_added_mb
from ragstone.embedding.load import embedding_spec
from ragstone.features.apply import apply
from ragstone.features.store import open_store
from ragstone.features.views import CHUNK_METADATA, chunk_embedding
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings, load_settings

_START: Final = datetime(2025, 1, 1, tzinfo=UTC)
_DISTINCT_TEXTS: Final = 5_000
# Peak memory is measured at two sizes, one so many times the other.
_GROWTH: Final = 10


def measure(scale: Scale) -> Measurement:
    """Return rows per processor second of both sides, over both views; our peak memory at two sizes in the note."""
    count = scale.pick(small=20_000, full=50_000)
    small = scale.pick(small=2_000, full=50_000)
    with temporary_home() as settings:
        views = _fill(settings, count)
        ours, other = open_store(settings), _with_feasts_engine(open_store(settings))
        check_equal(_left_by(settings, ours, views) == _left_by(settings, other, views), "bytes in Redis")
        rounds = interleave(
            lambda: _rows_per_cpu_s(ours, views, count),
            lambda: _rows_per_cpu_s(other, views, count),
        )
    memory = ", ".join(_memory(rows) for rows in (small, small * _GROWTH))
    note = (
        f"{count} chunks, a row of text and one of 384 elements each; ours at its peak, beyond a loaded Feast: {memory}"
    )
    return Measurement(*rounds.each(), "rows/CPU-s", goal=5.0, better="higher", note=note)


def _fill(settings: Settings, count: int) -> list[str]:
    """Write the chunks and their vectors, declare their views and return the views' names."""
    tell(f"  writing {count} chunks")
    spec = embedding_spec(settings)
    texts = made_up.texts(min(count, _DISTINCT_TEXTS))
    for start in range(0, count, made_up.ROWS_PER_COMMIT):
        rows = range(start, min(start + made_up.ROWS_PER_COMMIT, count))
        passages, chunk_ids = [texts[row % len(texts)] for row in rows], made_up.ids(len(rows), seed=start)
        made_up.write_chunks(settings.lake_root, passages, chunk_ids)
        vectors = made_up.vectors(len(rows), spec.dim, seed=start)
        made_up.write_embeddings(settings.lake_root, spec, passages, chunk_ids, vectors)
    apply(settings)
    return [CHUNK_METADATA.name, chunk_embedding(spec.space).name]


def _with_feasts_engine(store: FeatureStore) -> FeatureStore:
    provider: Any = store._get_provider()
    provider._batch_engine = LocalComputeEngine(
        repo_config=store.config, offline_store=provider.offline_store, online_store=provider.online_store
    )
    return store


def _materialize(store: FeatureStore, views: list[str]) -> None:
    # Feast reports its progress by print.
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        store.materialize(_START, datetime.now(UTC), views)


def _rows_per_cpu_s(store: FeatureStore, views: list[str], count: int) -> float:
    began = time.process_time()
    _materialize(store, views)
    return count * len(views) / (time.process_time() - began)


def _left_by(settings: Settings, store: FeatureStore, views: list[str]) -> str:
    """Return a digest of every hash that a materialization into an empty Redis leaves."""
    with online_client(settings) as client:
        client.flushall()
        _materialize(store, views)
        digest = hashlib.sha256()
        for key in sorted(client.scan_iter(count=10_000, _type="HASH")):
            digest.update(repr((key, sorted(client.hgetall(key).items()))).encode())
    return digest.hexdigest()


def _memory(count: int) -> str:
    """Return what our side's peak of memory adds to a loaded Feast, in a process of its own, and its speed there."""
    with temporary_home() as settings, multiprocessing.get_context("spawn").Pool(1) as pool:
        views = _fill(settings, count)
        peak_mb, rows_per_cpu_s = pool.apply(_measure_memory, (settings.home, views, count))
    return f"{peak_mb:.0f} MB for {count} chunks ({rows_per_cpu_s:.0f} rows/CPU-s)"


def _measure_memory(home: Path, views: list[str], count: int) -> tuple[float, float]:
    store = open_store(load_settings(home=home))
    speed: list[float] = []
    run: Callable[[], None] = lambda: speed.append(_rows_per_cpu_s(store, views, count))  # noqa: E731
    return peak_added_mb(run), speed[0]
