"""What a replay has to know, beside the question, to stand where the service stood when it answered."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from ragstone.contracts.state import AsOf
from ragstone.runtime.settings import AbstainSettings
from serving.index.manifest import IndexKind, IndexManifest


class ServedState(BaseModel):
    """The state that one question was answered from, as events.retrievals keeps it: JSON in `served_state`.

    `k` hits were asked for. The index held what was known by `index_known_by` (None: everything) and written by
    `index_built_at`, in `space`. The online store was last filled at `online_filled_at`; None when it did not say.
    `abstain` is the model that decided whether to answer, without its evidence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    k: int
    space: str
    index_kind: IndexKind
    index_known_by: datetime | None
    index_built_at: datetime
    online_filled_at: datetime | None
    abstain: AbstainSettings

    @property
    def indexed(self) -> AsOf:
        """Return the bounds of the lake's state that the index held."""
        return AsOf(known_by=self.index_known_by, written_by=self.index_built_at)

    def with_online(self, filled_at: datetime | None) -> ServedState:
        """Return the state with the time at which the online store was last filled."""
        return self.model_copy(update={"online_filled_at": filled_at})


def served_state(manifest: IndexManifest, k: int) -> ServedState:
    """Return the state of a question that asked the index of this manifest for `k` hits."""
    return ServedState(
        k=k,
        space=manifest.space,
        index_kind=manifest.kind,
        index_known_by=manifest.known_by,
        index_built_at=manifest.built_at,
        online_filled_at=None,
        abstain=manifest.abstain.model_copy(update={"evidence": {}}),
    )
