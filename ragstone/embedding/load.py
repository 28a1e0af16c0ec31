"""The one place where settings become an encoder: chunks and questions both get theirs here."""

from __future__ import annotations

import functools
from pathlib import Path

from ragstone.embedding.model_files import TOKENIZER_NAME, model_folder, read_card
from ragstone.embedding.port import Embedder
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import EmbeddingSettings, Settings


def embedding_spec(settings: Settings) -> EmbeddingSpec:
    """Return what the configured vectors mean, from a small file: no model is loaded.

    Raises DependencyUnavailableError when the model has not been exported, ConfigError when more tokens are asked for
    than it was made for.
    """
    return _spec(settings.embedding, model_folder(settings))


def load_embedder(settings: Settings) -> Embedder:
    """Return the configured encoder, loaded once per process and verified against its export.

    Raises what `embedding_spec` raises, and DependencyUnavailableError when a file was changed since.
    """
    return _load(settings.embedding, model_folder(settings))


def _spec(embedding: EmbeddingSettings, folder: Path) -> EmbeddingSpec:
    card = read_card(folder)
    if embedding.max_tokens > card.max_tokens:
        raise ConfigError(
            "the model cannot read texts that long",
            where="embedding.max_tokens",
            got=embedding.max_tokens,
            wanted=f"at most {card.max_tokens}, which {card.model_id} was made for",
        )
    return EmbeddingSpec(
        space=embedding.space,
        model_id=card.model_id,
        model_hash=card.weights_sha256,
        tokenizer_hash=card.files[TOKENIZER_NAME],
        dim=card.dim,
        max_tokens=embedding.max_tokens,
        precision=card.precision,
        pooling=card.pooling,
    )


@functools.cache
def _load(embedding: EmbeddingSettings, folder: Path) -> Embedder:
    spec = _spec(embedding, folder)
    # Each encoder's library is imported only where it is used: one takes seconds, the other may not be installed.
    if embedding.encoder == "onnx":
        from ragstone.embedding.onnx_encoder import OnnxEncoder

        return OnnxEncoder(folder, spec)
    from ragstone.embedding.sentence_transformers_encoder import SentenceTransformersEncoder

    return SentenceTransformersEncoder(folder, spec)
