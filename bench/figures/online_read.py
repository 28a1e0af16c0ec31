"""Ten chunks with all that the gate reads of them, online, against Feast's `get_online_features` of the same features.

Both return decoded values. Ours is measured as the service has it, with what bytes mean remembered for rows that come
again, but a call asks for other chunks than the last, so that few of them do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, Final

from feast import FeatureStore

from bench import made_up
from bench.harness import ROUNDS, Measurement, Scale, check_equal, interleave, percentile, tell, wall_s
from bench.homes import temporary_home
from ragstone.features import materialize, online
from ragstone.features.online import OnlineReader
from ragstone.features.store import open_store
from ragstone.features.views import CHUNK_METADATA
from ragstone.runtime.settings import Settings

_ROWS: Final = 10
# What our reader calls a feature, where it is not its name with the view's word in front.
_FEATURES: Final = online._CHUNK_FEATURES
_ATTRIBUTES: Final = (
    "document_id",
    "ordinal",
    "char_start",
    "char_end",
    "heading_path",
    "text",
    "token_count",
    "text_hash",
    "active",
)


def measure(scale: Scale) -> Measurement:
    """Return the p50 of both sides over the calls of a round, in milliseconds; p99 in the note."""
    count = scale.pick(small=10_000, full=50_000)
    calls = scale.pick(small=300, full=1_500)
    with temporary_home() as settings:
        chunk_ids = _fill(settings, count)
        reader, store = OnlineReader(settings), open_store(settings)
        asked = _asked(chunk_ids, 2 * calls * ROUNDS + 20)
        for _ in range(20):
            some = next(asked)
            check_equal(_values_of(reader, some) == _values_by_feast(store, some), "values of ten chunks")
        rounds = interleave(
            lambda: wall_s(partial(reader.read, next(asked), [])) * 1_000,
            lambda: wall_s(partial(_by_feast, store, next(asked))) * 1_000,
            calls,
        )
        reader.close()
    tails = [max(side) for side in rounds.each(partial(percentile, percent=99))]
    note = (
        f"p50 of {calls} reads a round of {_ROWS} rows with {len(_FEATURES)} features each, of {count} chunks; "
        f"worst p99 {tails[0]:.2f} against {tails[1]:.2f} ms"
    )
    return Measurement(*rounds.each(), "ms", goal=0.5, better="lower", note=note)


def _fill(settings: Settings, count: int) -> list[str]:
    tell(f"  materializing {count} chunks")
    chunk_ids = made_up.ids(count, seed=4)
    made_up.write_chunks(settings.lake_root, made_up.texts(count), chunk_ids)
    materialize.run(settings, "bench")
    return chunk_ids


def _asked(chunk_ids: Sequence[str], reads: int) -> Iterator[list[str]]:
    """Yield the chunks of one read after another, no chunk twice as long as there are enough."""
    for read in range(reads):
        start = read * _ROWS % (len(chunk_ids) - _ROWS + 1)
        yield list(chunk_ids[start : start + _ROWS])


def _by_feast(store: FeatureStore, chunk_ids: list[str]) -> dict[str, Any]:
    references = [f"{CHUNK_METADATA.name}:{feature}" for feature in _FEATURES]
    return store.get_online_features(references, {CHUNK_METADATA.join_key: chunk_ids}).to_dict()


def _values_by_feast(store: FeatureStore, chunk_ids: list[str]) -> list[tuple[Any, ...]]:
    columns = _by_feast(store, chunk_ids)
    return list(zip(*(columns[feature] for feature in _FEATURES), strict=True))


def _values_of(reader: OnlineReader, chunk_ids: list[str]) -> list[tuple[Any, ...]]:
    chunks, _ = reader.read(chunk_ids, [])
    return [tuple(getattr(chunk, name) for name in _ATTRIBUTES) for chunk in chunks]
