"""Vectors of an index, bit by bit, against the rows of the lake it was built from: a sample of them, or every one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ragstone.runtime.metrics import ONLINE_AUDIT_MISMATCHES, ONLINE_AUDIT_ROWS
from ragstone.runtime.settings import Settings
from serving.index.snapshot import IndexSnapshot
from serving.index.verify import chunks_unlike_lake

_AT_ONCE: Final = 4_096
# In the metrics of audits, beside the names of views.
_LABEL: Final = "index"


@dataclass(frozen=True)
class IndexAudit:
    """How many rows of an index were looked at, and the chunks whose vectors are not those of the lake."""

    version: str
    checked: int
    differing: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Return whether every row looked at is as in the lake."""
        return not self.differing


def audit_index(snapshot: IndexSnapshot, settings: Settings, rows: int | None) -> IndexAudit:
    """Return the comparison of `rows` rows of an index, chosen anew each time; None looks at every one.

    Sets `ragstone_online_audit_mismatches` for the view `index`.
    """
    count = snapshot.manifest.count
    chosen = range(count) if rows is None else np.random.default_rng().choice(count, min(rows, count), replace=False)
    ordinals, differing = [int(ordinal) for ordinal in chosen], []
    for start in range(0, len(ordinals), _AT_ONCE):
        differing += chunks_unlike_lake(snapshot, settings, ordinals[start : start + _AT_ONCE])
    ONLINE_AUDIT_ROWS.labels(_LABEL).set(len(ordinals))
    ONLINE_AUDIT_MISMATCHES.labels(_LABEL).set(len(differing))
    return IndexAudit(snapshot.manifest.version, len(ordinals), tuple(sorted(differing)))
