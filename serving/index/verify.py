"""The gate before publishing: checks of a built snapshot, read back from its files, against the lake it came from.

A snapshot goes live only when every check passes. Each check returns None, or one sentence that says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from ragstone.contracts.identity import embedding_key
from ragstone.contracts.state import AsOf
from ragstone.lake.vectors import LakeVector, texts_of, vectors_of
from ragstone.runtime.errors import IndexGateError
from ragstone.runtime.settings import Settings
from ragstone.text.words import words
from serving.index.snapshot import IndexSnapshot

_LENGTH_TOLERANCE: Final = 1e-3
_SCORE_TOLERANCE: Final = 1e-4
_ROWS_AT_ONCE: Final = 65_536

Check = Callable[[IndexSnapshot, Settings], str | None]


def verify(snapshot: IndexSnapshot, settings: Settings) -> tuple[str, ...]:
    """Return the names of the checks, all passed. Raises IndexGateError that names each failed one and what it saw."""
    findings = {name: check(snapshot, settings) for name, check in CHECKS.items()}
    failed = {name: finding for name, finding in findings.items() if finding is not None}
    if failed:
        raise IndexGateError(
            "an index failed its gate and was not published",
            failed_checks=tuple(failed),
            where=f"index {snapshot.manifest.version}",
            got="; ".join(f"{name}: {finding}" for name, finding in failed.items()),
            wanted="every check passed",
            next_step="ragstone run; what is served stays as it was",
        )
    return tuple(findings)


def check_not_empty(snapshot: IndexSnapshot, _settings: Settings) -> str | None:
    """Refuse a snapshot without a chunk: it would answer nothing, silently."""
    return None if snapshot.manifest.count else f"no chunk; left out: {snapshot.manifest.left_out or 'none'}"


def check_lengths(snapshot: IndexSnapshot, _settings: Settings) -> str | None:
    """Refuse vectors that are not of length 1: their inner products are no cosines. A NaN is not of length 1."""
    matrix = snapshot.matrix()
    wrong = 0
    for start in range(0, len(matrix), _ROWS_AT_ONCE):
        lengths = np.linalg.norm(matrix[start : start + _ROWS_AT_ONCE], axis=1)
        wrong += int(np.count_nonzero(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE)))
    return f"{wrong} of {len(matrix)} vectors are not of length 1" if wrong else None


def check_order(snapshot: IndexSnapshot, _settings: Settings) -> str | None:
    """Refuse rows that are not one per chunk, in the order of chunk_id, which ties in ranking rest on."""
    ids = snapshot.rows()["chunk_id"].to_pylist()
    misplaced = sum(earlier >= later for earlier, later in pairwise(ids))
    return f"{misplaced} rows repeat a chunk or stand out of order" if misplaced else None


def check_lake(snapshot: IndexSnapshot, settings: Settings) -> str | None:
    """Refuse a snapshot whose sampled vectors are not, bit for bit, what the lake holds under the served encoder."""
    sample = _sample(snapshot, settings)
    wrong = chunks_unlike_lake(snapshot, settings, sample)
    return f"{len(wrong)} of {len(sample)} sampled chunks differ from the lake" if wrong else None


def chunks_unlike_lake(snapshot: IndexSnapshot, settings: Settings, ordinals: Sequence[int]) -> list[str]:
    """Return the chunks at some ordinals whose vector, or the text it stands for, is not what the lake had then."""
    rows, matrix = snapshot.rows(), snapshot.matrix()
    ids = {ordinal: rows["chunk_id"][ordinal].as_py() for ordinal in ordinals}
    found = _from_lake(snapshot, settings, list(ids.values()))
    return [name for at, name in ids.items() if not _agrees(snapshot, found.get(name), matrix[at], at)]


def check_words(snapshot: IndexSnapshot, settings: Settings) -> str | None:
    """Refuse a snapshot whose words of sampled rows are not those of the chunk's text in the lake."""
    sample, ids = _sample(snapshot, settings), snapshot.rows()["chunk_id"]
    texts = texts_of(settings.lake_root, [ids[i].as_py() for i in sample], _bounds(snapshot))
    wrong = sum(not _has_words(snapshot, i, texts.get(ids[i].as_py(), "")) for i in sample)
    return f"{wrong} of {len(sample)} sampled rows lack words of their text" if wrong else None


def check_search(snapshot: IndexSnapshot, settings: Settings) -> str | None:
    """Refuse a snapshot in which a sampled vector does not find itself, or an equal one, first."""
    matrix = snapshot.matrix()
    sample = _sample(snapshot, settings)
    best = [max((hit.score for hit in snapshot.search(matrix[i], 1)), default=0.0) for i in sample]
    # A NaN compares as false, so what is asked is whether a score is good.
    lost = sum(
        not score >= float(matrix[i] @ matrix[i]) - _SCORE_TOLERANCE for i, score in zip(sample, best, strict=True)
    )
    return f"{lost} of {len(sample)} sampled vectors do not find themselves" if lost else None


CHECKS: Final[Mapping[str, Check]] = {
    "not_empty": check_not_empty,
    "lengths": check_lengths,
    "order": check_order,
    "lake": check_lake,
    "words": check_words,
    "search": check_search,
}


def sampled_chunks(snapshot: IndexSnapshot, settings: Settings) -> list[str]:
    """Return the ids of the chunks that checks look at closely: other ones for another version."""
    ids = snapshot.rows()["chunk_id"]
    return [ids[ordinal].as_py() for ordinal in _sample(snapshot, settings)]


def _sample(snapshot: IndexSnapshot, settings: Settings) -> list[int]:
    """Return ordinals to look at, other ones for another version, and the same ones for the same version."""
    count = snapshot.manifest.count
    seed = np.frombuffer(snapshot.manifest.version.encode(), dtype=np.uint8)
    chosen = np.random.default_rng(seed).choice(count, size=min(settings.index.verify_sample, count), replace=False)
    return [int(ordinal) for ordinal in np.sort(chosen)]


def _from_lake(snapshot: IndexSnapshot, settings: Settings, chunk_ids: list[str]) -> dict[str, LakeVector]:
    manifest = snapshot.manifest
    return vectors_of(settings.lake_root, manifest.space, manifest.dim, chunk_ids, _bounds(snapshot))


def _bounds(snapshot: IndexSnapshot) -> AsOf:
    return AsOf(known_by=snapshot.manifest.known_by, written_by=snapshot.manifest.built_at)


def _has_words(snapshot: IndexSnapshot, ordinal: int, text: str) -> bool:
    return all(ordinal in snapshot.rows_having(word) for word in set(words(text)))


def _agrees(snapshot: IndexSnapshot, lake: LakeVector | None, vector: np.ndarray, ordinal: int) -> bool:
    if lake is None:
        return False
    key = embedding_key(snapshot.rows()["text_hash"][ordinal].as_py(), snapshot.manifest.encoder_hash)
    return lake.embedding_key == key and np.array_equal(lake.vector, vector)
