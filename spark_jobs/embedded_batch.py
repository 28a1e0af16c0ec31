"""What a batch of embeddings came to, wherever it was encoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class EmbeddedBatch:
    """The table's version, rows set aside, the rules applied if any, and what encoding took."""

    version: int
    rejected: int
    ruleset_hash: str | None
    details: Mapping[str, object]
