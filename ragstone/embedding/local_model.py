"""Encoders whose model lies in the assets: onnxruntime and sentence-transformers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from ragstone.embedding.encoder_kind import EncoderKind
from ragstone.embedding.model_files import ONNX_NAME, TOKENIZER_NAME, ModelCard, folder_of, read_card, verified_file
from ragstone.embedding.port import Embedder
from ragstone.embedding.space_embedder import SpaceEmbedder
from ragstone.embedding.spec import EmbeddingSpec, Overflow
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import EncoderSettings

if TYPE_CHECKING:
    from ragstone.embedding.tokenizer import WordPieces


def _describe(space: str, encoder: EncoderSettings, assets: Path, overflow: Overflow) -> EmbeddingSpec:
    card = read_card(_folder(encoder, assets))
    if encoder.max_tokens > card.max_tokens:
        raise ConfigError(
            "the model cannot read texts that long",
            where="embedding.max_tokens",
            got=encoder.max_tokens,
            wanted=f"at most {card.max_tokens}, which {card.model_id} was made for",
        )
    return EmbeddingSpec(
        space=space,
        model_id=card.model_id,
        model_hash=_function_hash(card),
        tokenizer_hash=card.files[TOKENIZER_NAME],
        dim=card.dim,
        max_tokens=encoder.max_tokens,
        precision=card.precision,
        pooling=card.pooling,
        query_prefix=encoder.query_prefix,
        passage_prefix=encoder.passage_prefix,
        overflow=overflow,
    )


def _function_hash(card: ModelCard) -> str:
    # The same weights rounded by another release of the quantiser are another function.
    return card.weights_sha256 if card.precision == "fp32" else card.files[ONNX_NAME]


def _folder(encoder: EncoderSettings, assets: Path) -> Path:
    exported = folder_of(assets, encoder.model)
    if encoder.precision == "fp32":
        return exported
    # Needs onnx, which takes a second to import and is of no use to anyone else.
    from ragstone.embedding.quantise import quantised_folder

    return quantised_folder(exported)


def _describe_reference(space: str, encoder: EncoderSettings, assets: Path, overflow: Overflow) -> EmbeddingSpec:
    if encoder.precision != "fp32":
        raise ConfigError(
            "sentence-transformers runs models as their authors made them",
            where="embedding.precision",
            got=encoder.precision,
            wanted="fp32, or the encoder onnx",
        )
    return _describe(space, encoder, assets, overflow)


# Each encoder's library is imported only where it is used: one takes seconds, the other may not be installed.
def _open_onnx(spec: EmbeddingSpec, encoder: EncoderSettings, assets: Path) -> Embedder:
    from ragstone.embedding.onnx_encoder import OnnxEncoder

    folder = _folder(encoder, assets)
    return SpaceEmbedder(spec, OnnxEncoder(folder, spec), _pieces(spec, folder))


def _open_sentence_transformers(spec: EmbeddingSpec, encoder: EncoderSettings, assets: Path) -> Embedder:
    from ragstone.embedding.sentence_transformers_encoder import SentenceTransformersEncoder

    folder = _folder(encoder, assets)
    return SpaceEmbedder(spec, SentenceTransformersEncoder(folder, spec, encoder.device), _pieces(spec, folder))


def _pieces(spec: EmbeddingSpec, folder: Path) -> WordPieces | None:
    if spec.overflow == "cut":
        return None
    from ragstone.embedding.tokenizer import WordPieces

    return WordPieces(verified_file(folder, TOKENIZER_NAME))


ONNX: Final = EncoderKind(_describe, _open_onnx)
SENTENCE_TRANSFORMERS: Final = EncoderKind(_describe_reference, _open_sentence_transformers)
