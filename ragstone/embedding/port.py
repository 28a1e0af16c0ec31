"""The port behind which every encoder stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ragstone.embedding.spec import EmbeddingSpec


class Embedder(Protocol):
    """A function from texts to vectors, the same for chunks and for questions. Safe to call from several threads."""

    @property
    def spec(self) -> EmbeddingSpec:
        """Return what the vectors mean."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(texts), spec.dim), rows in the order of `texts`, each of unit norm.

        A row depends on its own text alone, whatever its neighbours.
        """
        ...
