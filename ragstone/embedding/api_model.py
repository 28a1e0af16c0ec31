"""Encoders behind an OpenAI-compatible API."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ragstone.contracts.identity import stable_hash
from ragstone.embedding.encoder_kind import EncoderKind
from ragstone.embedding.port import Embedder
from ragstone.embedding.space_embedder import SpaceEmbedder
from ragstone.embedding.spec import EmbeddingSpec, Overflow
from ragstone.runtime.settings import EncoderSettings

# What an API does inside cannot be hashed: address and name stand for it.
_UNKNOWN: Final = "api"


def _describe(space: str, encoder: EncoderSettings, _assets: Path, _overflow: Overflow) -> EmbeddingSpec:
    # Takes half a second to import, and most homes have no use for it.
    from ragstone.embedding.openai_encoder import OpenAIEncoder

    return EmbeddingSpec(
        space=space,
        model_id=encoder.model,
        model_hash=stable_hash("openai", encoder.url or "", encoder.model),
        tokenizer_hash=_UNKNOWN,
        dim=OpenAIEncoder(encoder).dim,
        max_tokens=encoder.max_tokens,
        precision=_UNKNOWN,
        pooling=_UNKNOWN,
        query_prefix=encoder.query_prefix,
        passage_prefix=encoder.passage_prefix,
    )


def _open(spec: EmbeddingSpec, encoder: EncoderSettings, _assets: Path) -> Embedder:
    from ragstone.embedding.openai_encoder import OpenAIEncoder

    return SpaceEmbedder(spec, OpenAIEncoder(encoder, spec.dim))


OPENAI: Final = EncoderKind(_describe, _open)
