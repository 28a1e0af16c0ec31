"""The retrieval stage, search and online gate, against a bare FAISS search and a pipelined HMGET of what it found.

Both are timed in situ: each follows the encoding of a question, which leaves little of theirs in the caches. The other
side reads the same fields of the same keys, and neither decodes them nor decides anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Final

import faiss
import redis

from bench import made_up
from bench.harness import ROUNDS, Measurement, Scale, check_equal, interleave, percentile, tell, wall_s
from bench.homes import temporary_home
from ragstone.contracts.records import Principal
from ragstone.embedding.load import load_embedder
from ragstone.embedding.port import Embedder
from ragstone.features import materialize, online
from ragstone.features.redis_layout import decode, entity_key, queue
from ragstone.features.views import ACCESS, CHUNK_METADATA
from ragstone.runtime.redis_server import redis_address
from ragstone.runtime.settings import Settings
from serving.deadline import Deadline
from serving.index import build
from serving.index.files import VECTORS_FILE
from serving.index.snapshot import IndexSnapshot, open_current
from serving.retrieval import retriever as stage
from serving.retrieval.retriever import Found, Retriever

_K: Final = 10
_DEADLINE_MS: Final = 60_000
_ANYONE: Final = Principal("anonymous", frozenset({"public"}))
# The product's own choices of how deep to search and what to read, so that the other side cannot drift from them.
_FETCHED: Final = math.ceil(_K * stage._FIRST_FETCH)
_CHUNK_FIELDS: Final = online._CHUNK_FIELDS
_DOCUMENT_FIELDS: Final = online._DOCUMENT_FIELDS
_TEXT: Final = 1 + online._CHUNK_FEATURES.index("text")


def measure(scale: Scale) -> Measurement:
    """Return the p50 of both sides over the questions of a round, in milliseconds; p99 in the note."""
    count = scale.pick(small=10_000, full=100_000)
    calls = scale.pick(small=500, full=2_000)
    # Each is asked once only, for the online store's reader remembers what it has decoded.
    questions = made_up.questions(calls * ROUNDS)
    with temporary_home() as settings:
        _fill(settings, count)
        snapshot, embedder = open_current(settings), load_embedder(settings)
        reader = online.OnlineReader(settings)
        retriever = Retriever(settings, embedder, lambda: snapshot, reader)
        bare = _bare(settings, snapshot)
        ours = partial(_find, retriever, snapshot)
        for question in made_up.questions(20, seed=7):
            _check_same(ours, bare, embedder.encode([question])[0])
        rounds = interleave(
            _each_after_encoding(ours, embedder, questions),
            _each_after_encoding(bare.find, embedder, questions),
            calls,
        )
        reader.close()
        bare.client.close()
    p99 = [median(tails) for tails in rounds.each(partial(percentile, percent=99))]
    note = (
        f"p50 of {calls} questions a round, {count} chunks of 384 elements, {snapshot.manifest.factory}, k = {_K}, "
        f"{_FETCHED} fetched; p99 {p99[0]:.2f} against {p99[1]:.2f} ms, ratio {p99[0] / p99[1]:.2f}"
    )
    return Measurement(*rounds.each(), "ms", goal=1.25, better="lower", note=note)


def _fill(settings: Settings, count: int) -> None:
    """Put made-up chunks and vectors into the lake, online and into a published index."""
    tell(f"  filling a home with {count} chunks")
    spec = load_embedder(settings).spec
    passages, chunk_ids = made_up.texts(count), made_up.ids(count, seed=4)
    made_up.write_chunks(settings.lake_root, passages, chunk_ids)
    made_up.write_embeddings(settings.lake_root, spec, passages, chunk_ids, made_up.vectors(count, spec.dim))
    materialize.run(settings, "bench")
    build.run(settings, "bench")


@dataclass(frozen=True)
class _Bare:
    """The other side: the index file mapped anew, and a plain client of the same Redis."""

    index: Any
    client: redis.Redis
    chunk_ids: Sequence[str]
    chunk_keys: Sequence[bytes]
    document_keys: Sequence[bytes]

    def find(self, vector: made_up.Vectors) -> tuple[list[int], list[list[bytes]]]:
        """Return the ordinals of the nearest rows, and what Redis holds of their chunks, then of their documents."""
        _, ordinals = self.index.search(vector.reshape(1, -1), _FETCHED)
        rows = ordinals[0].tolist()
        with self.client.pipeline(transaction=False) as pipeline:
            for row in rows:
                queue(pipeline, "HMGET", self.chunk_keys[row], *_CHUNK_FIELDS)
            for key in dict.fromkeys(self.document_keys[row] for row in rows):
                queue(pipeline, "HMGET", key, *_DOCUMENT_FIELDS)
            return rows, pipeline.execute()


def _bare(settings: Settings, snapshot: IndexSnapshot) -> _Bare:
    key = partial(entity_key, settings.feast.project)
    chunk_ids, document_ids = (snapshot.rows()[name].to_pylist() for name in ("chunk_id", "document_id"))
    path = settings.index_root / snapshot.manifest.version / VECTORS_FILE
    return _Bare(
        index=faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC),
        client=redis.Redis.from_url(redis_address(settings).url),
        chunk_ids=chunk_ids,
        chunk_keys=[key(CHUNK_METADATA.join_key, name) for name in chunk_ids],
        document_keys=[key(ACCESS.join_key, name) for name in document_ids],
    )


def _find(retriever: Retriever, snapshot: IndexSnapshot, vector: made_up.Vectors) -> Found:
    return retriever.find(snapshot, vector, _ANYONE, _K, Deadline.after_ms(_DEADLINE_MS))


def _each_after_encoding(
    call: Callable[[made_up.Vectors], object], embedder: Embedder, questions: Sequence[str]
) -> Callable[[], float]:
    """Return a function that times `call` alone, in milliseconds, with the vector of a question it has just encoded."""
    asked = iter(questions)

    def timed_ms() -> float:
        vector = embedder.encode([next(asked)])[0]
        return wall_s(lambda: call(vector)) * 1_000

    return timed_ms


def _check_same(ours: Callable[[made_up.Vectors], Found], bare: _Bare, vector: made_up.Vectors) -> None:
    rows, stored = bare.find(vector)
    wanted = [(bare.chunk_ids[row], decode(found[_TEXT])) for row, found in zip(rows, stored, strict=False)]
    hits = [(hit.chunk.chunk_id, hit.chunk.text) for hit in ours(vector).hits]
    check_equal(hits == wanted[:_K], "chunks and texts, in the same order")
