"""The embed job, from its command's first instruction to its last, against the bare encoding of the same texts.

Ours starts a JVM and Spark, finds what waits, encodes, audits, writes and records. The other side has its models loaded
and its texts in memory before the clock starts; it has as many processes and the same encoder.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Sequence
from multiprocessing.pool import Pool
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench import made_up
from bench.harness import Measurement, Scale, check_equal, interleave, tell, wall_s
from bench.homes import CORES, ragstone, run_command, temporary_home
from ragstone.contracts.tables import TableSpec, embeddings
from ragstone.embedding.load import embedding_spec, load_embedder
from ragstone.embedding.port import Embedder
from ragstone.lake import read
from ragstone.lake.delta import table_path
from ragstone.runtime.settings import Settings, load_settings

_TEXTS_PER_CALL: Final = 16
_LOADING_S: Final = 120

_embedder: Embedder


def measure(scale: Scale) -> Measurement:
    """Return chunks per second of both sides; the goal is stated for at least 20,000 chunks."""
    count = scale.pick(small=1_000, full=20_000)
    passages, chunk_ids = made_up.texts(count), made_up.ids(count, seed=4)
    done: dict[str, Any] = {}
    with temporary_home() as settings, _encoders(settings) as pool:
        spec = embedding_spec(settings)
        table = embeddings(spec.space, spec.dim)
        made_up.write_chunks(settings.lake_root, passages, chunk_ids)

        def ours() -> float:
            # As at first: nothing is embedded, and the table does not exist.
            shutil.rmtree(table_path(settings.lake_root, table), ignore_errors=True)
            return count / wall_s(lambda: done.update(ours=run_command(ragstone(settings, "--json", "embed"))))

        def other() -> float:
            return count / wall_s(lambda: done.update(other=_encode(pool, passages)))

        rounds = interleave(ours, other)
        written = _written(settings, table, chunk_ids)
    check_equal(np.array_equal(written, done["other"]), "vectors, bit for bit")
    encoding_s = json.loads(done["ours"])["steps"][0]["result"]["details"]["seconds"]
    note = (
        f"{count} chunks, {CORES} processes on each side; {encoding_s:.1f} s of our last run were encoding inside "
        "Spark, the rest is the command, JVM and Spark's start, audit and commit"
    )
    return Measurement(*rounds.each(), "chunks/s", goal=0.9, better="higher", note=note)


def _encoders(settings: Settings) -> Pool:
    """Return processes that have loaded the encoder and used it once."""
    tell("  loading encoders")
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(CORES + 1)
    pool = context.Pool(CORES, _load, (settings.home, ready))
    ready.wait(_LOADING_S)
    return pool


def _load(home: Path, ready: Barrier) -> None:
    global _embedder
    _embedder = load_embedder(load_settings(home=home))
    _embedder.encode(["warm"])
    ready.wait(_LOADING_S)


def _encode(pool: Pool, passages: Sequence[str]) -> made_up.Vectors:
    parts = [passages[start : start + _TEXTS_PER_CALL] for start in range(0, len(passages), _TEXTS_PER_CALL)]
    return np.concatenate(pool.map(_encode_some, parts, chunksize=1))


def _encode_some(passages: Sequence[str]) -> made_up.Vectors:
    return _embedder.encode(passages)


def _written(settings: Settings, table: TableSpec, chunk_ids: Sequence[str]) -> made_up.Vectors:
    """Return the vectors in the lake, in the order of the chunks."""
    state = read.state(settings.lake_root, table, columns=("chunk_id", "embedding"))
    matrix = state["embedding"].combine_chunks().flatten().to_numpy().reshape(state.num_rows, -1)
    places = {chunk_id: row for row, chunk_id in enumerate(state["chunk_id"].to_pylist())}
    vectors: made_up.Vectors = matrix[[places[chunk_id] for chunk_id in chunk_ids]]
    return vectors
