"""What a vector means: two vectors may be compared only when their EmbeddingSpecs have the same encoder hash."""

from __future__ import annotations

from dataclasses import dataclass

from ragstone.contracts.identity import stable_hash


@dataclass(frozen=True)
class EmbeddingSpec:
    """One embedding space. `model_hash` and `tokenizer_hash` are SHA-256 of files, in hexadecimal.

    `max_tokens` counts word pieces with the two special tokens; what is longer is cut. Vectors are float32, of length
    `dim` and unit norm, pooled as `pooling` says (`mean` over all tokens, or `cls`, the first).
    """

    space: str
    model_id: str
    model_hash: str
    tokenizer_hash: str
    dim: int
    max_tokens: int
    precision: str
    pooling: str

    @property
    def encoder_hash(self) -> str:
        """Return the identity of the function from text to vector.

        It leaves out which library computes it, so that a GPU may fill a space that onnxruntime serves: a parity test
        holds the encoders together.
        """
        weights = (self.model_hash, self.tokenizer_hash)
        return stable_hash("encoder", *weights, self.dim, self.max_tokens, self.precision, self.pooling)
