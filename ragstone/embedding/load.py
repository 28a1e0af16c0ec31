"""The one place where settings become an encoder: chunks and questions both get theirs here."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ragstone.embedding import api_model, local_model
from ragstone.embedding.encoder_kind import EncoderKind
from ragstone.embedding.port import Embedder
from ragstone.embedding.spec import EmbeddingSpec, Overflow
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import EncoderSettings, Settings

# Where a new encoder is added: `embedding.encoder` names one of these.
ENCODERS: Final[Mapping[str, EncoderKind]] = MappingProxyType(
    {
        "onnx": local_model.ONNX,
        "sentence-transformers": local_model.SENTENCE_TRANSFORMERS,
        "openai": api_model.OPENAI,
    }
)


def embedding_spec(settings: Settings) -> EmbeddingSpec:
    """Return what the vectors of the served space mean; no local model is loaded for it.

    An API that no dimension is set for is asked for one vector. Raises DependencyUnavailableError when the model has
    not been exported or the API does not answer, ConfigError for an unknown encoder and for more tokens than the model
    was made for.
    """
    return _spec(settings.embedding.space, settings.embedding.served, settings.assets, _overflow(settings))


def load_embedder(settings: Settings) -> Embedder:
    """Return the encoder of the served space, loaded once per process and verified against its export.

    Raises what `embedding_spec` raises, and DependencyUnavailableError when a file was changed since.
    """
    return _load(settings.embedding.space, settings.embedding.served, settings.assets, _overflow(settings))


def in_space(settings: Settings, space: str) -> Settings:
    """Return settings under which another space is the served one."""
    embedding = settings.embedding.model_copy(update={"space": space})
    return settings.model_copy(update={"embedding": embedding})


def _overflow(settings: Settings) -> Overflow:
    return "window_mean" if settings.chunking.overflow == "window_mean" else "cut"


@functools.cache
def _spec(space: str, encoder: EncoderSettings, assets: Path, overflow: Overflow) -> EmbeddingSpec:
    return _kind(encoder).describe(space, encoder, assets, overflow)


@functools.cache
def _load(space: str, encoder: EncoderSettings, assets: Path, overflow: Overflow) -> Embedder:
    return _kind(encoder).open(_spec(space, encoder, assets, overflow), encoder, assets)


def _kind(encoder: EncoderSettings) -> EncoderKind:
    if encoder.encoder not in ENCODERS:
        raise ConfigError(
            "there is no such encoder",
            where="embedding.encoder",
            got=encoder.encoder,
            wanted=f"one of {', '.join(sorted(ENCODERS))}",
        )
    return ENCODERS[encoder.encoder]
