"""The ports behind which every encoder stands: a plain one for texts, and the one the rest of Ragstone asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ragstone.embedding.spec import EmbeddingSpec


class TextEncoder(Protocol):
    """A function from texts to vectors, whatever a text stands for. Safe to call from several threads."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(texts), dim), rows in the order of `texts`, each of unit norm.

        A row depends on its own text alone, whatever its neighbours.
        """
        ...


class Embedder(Protocol):
    """An embedding space's encoder for chunks and for questions: one function, but for the prefixes its spec names."""

    @property
    def spec(self) -> EmbeddingSpec:
        """Return what the vectors mean."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of chunks: float32 (len(texts), spec.dim), as `TextEncoder.encode` does."""
        ...

    def encode_questions(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of questions: float32 (len(questions), spec.dim), as `TextEncoder.encode` does."""
        ...
