"""What all encoders have in common: prefixes, and texts that are longer than the encoder's window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from ragstone.embedding.port import TextEncoder
from ragstone.embedding.spec import EmbeddingSpec

if TYPE_CHECKING:
    from ragstone.embedding.tokenizer import WordPieces

SPECIAL_TOKENS: Final = 2


@dataclass(frozen=True)
class SpaceEmbedder:
    """An Embedder over a TextEncoder. `pieces` cut long texts into windows; without them the encoder cuts them off."""

    spec: EmbeddingSpec
    encoder: TextEncoder
    pieces: WordPieces | None = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of chunks: float32 (len(texts), spec.dim)."""
        return self._encode(texts, self.spec.passage_prefix)

    def encode_questions(self, questions: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of questions: float32 (len(questions), spec.dim)."""
        return self._encode(questions, self.spec.query_prefix)

    def _encode(self, texts: Sequence[str], prefix: str) -> NDArray[np.float32]:
        if self.pieces is None:
            return self.encoder.encode([prefix + text for text in texts] if prefix else texts)
        room = max(1, self.spec.max_tokens - SPECIAL_TOKENS - self.pieces.count(prefix))
        parts = [list(windows(text, self.pieces, room)) for text in texts]
        vectors = self.encoder.encode([prefix + window for cut in parts for window in cut])
        return _means(vectors, [len(cut) for cut in parts])


def windows(text: str, pieces: WordPieces, room: int) -> Iterator[str]:
    """Yield a text in windows of at most `room` word pieces, cut between words where a window holds a whole one."""
    spans, start = pieces.spans(text), 0
    if len(spans) <= room:
        yield text
        return
    while start < len(spans):
        end = _window_end(spans, start, room)
        yield text[spans[start][0] : spans[end - 1][1]]
        start = end


def _window_end(spans: Sequence[tuple[int, int]], start: int, room: int) -> int:
    full = min(start + room, len(spans))
    for end in range(full, start, -1):
        if end == len(spans) or spans[end][0] > spans[end - 1][1]:
            return end
    return full


def _means(vectors: NDArray[np.float32], counts: Sequence[int]) -> NDArray[np.float32]:
    """Return the normalised mean of each stretch of `counts` rows; a stretch of one is left to the bit."""
    means = np.empty((len(counts), vectors.shape[1]), np.float32)
    start = 0
    for row, count in enumerate(counts):
        total = vectors[start : start + count].sum(axis=0)
        means[row] = total if count == 1 else total / np.linalg.norm(total)
        start += count
    return means
