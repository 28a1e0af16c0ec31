"""What a vector means: two vectors may be compared only when their EmbeddingSpecs have the same encoder hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ragstone.contracts.identity import stable_hash

Overflow = Literal["cut", "window_mean"]


@dataclass(frozen=True)
class EmbeddingSpec:
    """One embedding space. `model_hash` and `tokenizer_hash` are SHA-256 of files, in hexadecimal.

    `max_tokens` counts word pieces with the two special tokens; what is longer is cut. Vectors are float32, of length
    `dim` and unit norm, pooled as `pooling` says (`mean` over all tokens, or `cls`, the first). A question is encoded
    behind `query_prefix`, a chunk behind `passage_prefix`. With the overflow `window_mean` a longer text is not cut:
    its vector is the normalised mean over windows of it.
    """

    space: str
    model_id: str
    model_hash: str
    tokenizer_hash: str
    dim: int
    max_tokens: int
    precision: str
    pooling: str
    query_prefix: str = ""
    passage_prefix: str = ""
    overflow: Overflow = "cut"

    @property
    def encoder_hash(self) -> str:
        """Return the identity of the function from text to vector.

        It leaves out which library computes it, so that a GPU may fill a space that onnxruntime serves: a parity test
        holds the encoders together.
        """
        weights = (self.model_hash, self.tokenizer_hash)
        parts: list[str | int] = [*weights, self.dim, self.max_tokens, self.precision, self.pooling]
        # Only where they are set, so that vectors made before there were such settings keep their identity.
        if self.query_prefix or self.passage_prefix:
            parts += ["prefixes", self.query_prefix, self.passage_prefix]
        if self.overflow != "cut":
            parts += ["overflow", self.overflow]
        return stable_hash("encoder", *parts)
