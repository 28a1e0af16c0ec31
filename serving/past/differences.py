"""Why a replay differs from what was shown. A reason is given where the lake has evidence of it, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from ragstone.embedding.load import load_embedder
from ragstone.features.past import PastFeatures
from ragstone.lake.purged import is_purged
from ragstone.runtime.settings import Settings
from serving.index.snapshot import IndexSnapshot
from serving.past.logged import LoggedHit, LoggedQuestion
from serving.retrieval.gate import DropReason
from serving.retrieval.results import Retrieval
from serving.served_state import ServedState

SCORE_TOLERANCE: Final = 1e-6
# Encoders on other processors differ in the last digits; texts that differ at all are much further apart.
_VECTOR_TOLERANCE: Final = 1e-3


class Reason(StrEnum):
    """Why a question did not come out as it did then."""

    EDITED = "edited"
    DELETED = "deleted"
    PURGED = "purged"
    MODEL = "model"
    PROMPT = "prompt"
    THRESHOLD = "threshold"
    APPROXIMATE = "approximate search"
    UNSETTLED = "unsettled"
    NOT_RECORDED = "not recorded"


@dataclass(frozen=True)
class Difference:
    """One reason; `chunk_id` is the chunk it is about, None when it is about the whole question."""

    reason: Reason
    chunk_id: str | None
    detail: str


@dataclass(frozen=True)
class Comparison:
    """A question as it was logged beside its replay; `vector` is the question's, float32 (dim,)."""

    settings: Settings
    logged: LoggedQuestion
    state: ServedState
    replayed: Retrieval
    snapshot: IndexSnapshot
    features: PastFeatures
    vector: npt.NDArray[np.float32]

    def score(self, chunk_id: str) -> float | None:
        """Return what a chunk of the past index scores now, or None when it is not in it."""
        rows = self.snapshot.rows()["chunk_id"]
        position = rows.index(chunk_id).as_py()
        return None if position < 0 else float(self.snapshot.matrix()[position] @ self.vector)


def differences(comparison: Comparison) -> tuple[Difference, ...]:
    """Return the reasons that the lake gives, at most one per chunk; none when it gives no reason."""
    found = [*_of_shown(comparison), *_of_gained(comparison)]
    if not found and _only_the_decision_differs(comparison):
        abstain = comparison.replayed.abstain
        detail = f"probability {abstain.probability:.4f} against {abstain.threshold:.4f}, over the same passages"
        return (Difference(Reason.THRESHOLD, None, detail),)
    return tuple(found)


def _of_shown(comparison: Comparison) -> Iterator[Difference]:
    """Yield why hits that were shown are missing now, or score otherwise."""
    found = {hit.chunk.chunk_id: hit.score for hit in comparison.replayed.hits}
    for hit in comparison.logged.shown:
        if hit.chunk_id not in found or abs(found[hit.chunk_id] - hit.score) > SCORE_TOLERANCE:
            difference = _missing(comparison, hit) or _rescored(comparison, hit.chunk_id, hit.score)
            if difference is not None:
                yield difference


def _missing(comparison: Comparison, hit: LoggedHit) -> Difference | None:
    """Return why a hit is not in the past index any more, or is dropped by the gate; None when it is neither."""
    versions = comparison.features.chunks.versions([hit.chunk_id])
    if not versions:
        return _gone(comparison, hit)
    if comparison.score(hit.chunk_id) is None:
        return _not_indexed(comparison, hit, versions)
    drops = {drop.chunk_id: drop for drop in comparison.replayed.drops}
    if hit.chunk_id not in drops or drops[hit.chunk_id].reason is DropReason.DUPLICATE:
        return None
    drop = drops[hit.chunk_id]
    if _is_unsettled(comparison, hit.chunk_id, drop.document_id):
        return Difference(Reason.UNSETTLED, hit.chunk_id, _UNSETTLED)
    reason = _REASON_OF_DROP.get(drop.reason, Reason.EDITED)
    return Difference(reason, hit.chunk_id, f"the gate of then drops it now: {drop.reason}")


def _gone(comparison: Comparison, hit: LoggedHit) -> Difference:
    if hit.document_id is not None and is_purged(comparison.settings.lake_root, hit.document_id):
        return Difference(Reason.PURGED, hit.chunk_id, f"document {hit.document_id} was purged")
    return Difference(Reason.DELETED, hit.chunk_id, "its rows are not in the lake any more")


def _not_indexed(comparison: Comparison, hit: LoggedHit, versions: list[dict[str, Any]]) -> Difference:
    newest = comparison.features.chunks.newest([hit.chunk_id], comparison.state.indexed).get(hit.chunk_id)
    if newest is None:
        written = min(row["created_timestamp"] for row in versions)
        return Difference(
            Reason.EDITED, hit.chunk_id, f"its oldest row says it was written at {written}, after the index"
        )
    if not newest["active"]:
        return Difference(Reason.DELETED, hit.chunk_id, f"a tombstone ends it at {newest['event_timestamp']}")
    access = comparison.features.access.newest([newest["document_id"]], comparison.state.indexed)
    if not access.get(newest["document_id"], {"active": False})["active"]:
        return Difference(Reason.DELETED, hit.chunk_id, f"document {newest['document_id']} had ended by then")
    return Difference(Reason.EDITED, hit.chunk_id, "it has no vector within the index's bounds")


def _rescored(comparison: Comparison, chunk_id: str, then: float | None) -> Difference | None:
    """Return that a chunk's vector is not its text's any more, when so; its score changed for that."""
    score = comparison.score(chunk_id)
    if score is None or (then is not None and abs(score - then) <= SCORE_TOLERANCE):
        return None
    position = comparison.snapshot.rows()["chunk_id"].index(chunk_id).as_py()
    stored, encoded = comparison.snapshot.matrix()[position], _encoded(comparison, chunk_id)
    if encoded is None or float(np.abs(stored - encoded).max()) <= _VECTOR_TOLERANCE:
        return None
    before = "it was not found before" if then is None else f"it scored {then:.6f}"
    return Difference(Reason.EDITED, chunk_id, f"its vector is not its text's: {score:.6f} now, {before}")


def _encoded(comparison: Comparison, chunk_id: str) -> npt.NDArray[np.float32] | None:
    row = comparison.features.chunks.newest([chunk_id], comparison.state.indexed).get(chunk_id)
    if row is None or row["text"] is None:
        return None
    encoded: npt.NDArray[np.float32] = load_embedder(comparison.settings).encode([row["text"]])[0]
    return encoded


def _of_gained(comparison: Comparison) -> Iterator[Difference]:
    """Yield why hits that were not shown stand among the first now; one that only moved up has no reason of its own."""
    logged = comparison.logged
    shown, dropped = {hit.chunk_id for hit in logged.shown}, {hit.chunk_id: hit.gate for hit in logged.dropped}
    worst = min((hit.score for hit in logged.shown), default=-1.0)
    for hit in comparison.replayed.hits:
        chunk_id = hit.chunk.chunk_id
        if chunk_id in shown:
            continue
        if chunk_id in dropped:
            unsettled = _is_unsettled(comparison, chunk_id, hit.document.document_id)
            reason = Reason.UNSETTLED if unsettled else Reason.EDITED
            yield Difference(reason, chunk_id, _UNSETTLED if unsettled else f"the gate dropped it: {dropped[chunk_id]}")
        elif (edited := _rescored(comparison, chunk_id, None)) is not None:
            yield edited
        elif hit.score > worst - SCORE_TOLERANCE and comparison.state.index_kind != "flat":
            yield Difference(Reason.APPROXIMATE, chunk_id, f"the {comparison.state.index_kind} index did not find it")


def _is_unsettled(comparison: Comparison, chunk_id: str, document_id: str) -> bool:
    """Return whether rows of a hit were written after the online store was filled and before the question."""
    rows = [*comparison.features.chunks.versions([chunk_id]), *comparison.features.access.versions([document_id])]
    filled_at = comparison.state.online_filled_at
    return any(filled_at is None or _between(row, filled_at, comparison.logged.asked_at) for row in rows)


def _between(row: Mapping[str, Any], begin: Any, end: Any) -> bool:
    return bool(begin < row["created_timestamp"] <= end)


def _only_the_decision_differs(comparison: Comparison) -> bool:
    found = [(hit.chunk.chunk_id, round(hit.score, 5)) for hit in comparison.replayed.hits]
    return found == [(hit.chunk_id, round(hit.score, 5)) for hit in comparison.logged.shown]


_UNSETTLED: Final = "its rows were on their way to the online store when the question was asked"
_REASON_OF_DROP: Final = {
    DropReason.ABSENT: Reason.DELETED,
    DropReason.INACTIVE: Reason.DELETED,
    DropReason.DOCUMENT_INACTIVE: Reason.DELETED,
    DropReason.TEXT_CHANGED: Reason.EDITED,
    DropReason.FORBIDDEN: Reason.EDITED,
}
