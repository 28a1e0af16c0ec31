"""The chunkers by name: from settings to a recipe that workers make the chunker from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from ragstone.embedding.model_files import TOKENIZER_NAME, folder_of, read_card, verified_file
from ragstone.embedding.space_embedder import SPECIAL_TOKENS
from ragstone.embedding.tokenizer import WordPieces, load_word_pieces
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import ChunkingSettings, EncoderSettings, Settings
from spark_jobs.chunking.structure import CHUNKER_VERSION, Chunk, StructureChunker, chunker_hash
from spark_jobs.chunking.units import WordCounter
from spark_jobs.chunking.words import WORDS_VERSION, WordChunker, words_hash
from spark_jobs.parsers.document import Heading


class Chunker(Protocol):
    """Cuts documents into chunks, the same document always into the same."""

    def chunk(
        self, document_id: str, text: str, headings: Sequence[Heading], kept_lines: Sequence[tuple[int, int]] = ()
    ) -> list[Chunk]:
        """Return the chunks of a document in reading order. Every visible character is in at least one.

        `kept_lines` are spans of tables and code, in order, whose lines a chunker on structure does not cut.
        """


@dataclass(frozen=True)
class ChunkerRecipe:
    """What a worker needs to make the chunker: small, and without the settings' secrets.

    `chunker_hash` is the identity of the chunker with these limits; `window` is how many word pieces the encoder takes,
    None when it takes texts of any length.
    """

    limits: ChunkingSettings
    model_folder: Path
    window: int | None
    chunker_hash: str


@dataclass(frozen=True)
class ChunkerKind:
    """What stands behind a chunker's name.

    `asks` names the setting that bounds a chunk's size and gives its value: the least number of word pieces that full
    chunks have. `identity` takes limits, window and the tokenizer's hash.
    """

    version: str
    asks: Callable[[ChunkingSettings], tuple[str, int]]
    identity: Callable[[ChunkingSettings, int | None, str], str]
    make: Callable[[ChunkerRecipe, WordCounter], Chunker]


# Where a new chunker is added: `chunking.chunker` names one of these.
CHUNKERS: Final[Mapping[str, ChunkerKind]] = MappingProxyType(
    {
        "structure": ChunkerKind(
            version=CHUNKER_VERSION,
            asks=lambda limits: ("chunking.max_tokens", limits.max_tokens),
            identity=lambda limits, _window, hash_: chunker_hash(limits.max_tokens, limits.overlap_tokens, hash_),
            make=lambda recipe, pieces: StructureChunker(
                pieces, recipe.limits.max_tokens, recipe.limits.overlap_tokens, recipe.chunker_hash
            ),
        ),
        "words": ChunkerKind(
            version=WORDS_VERSION,
            asks=lambda limits: ("chunking.words", limits.words),
            identity=lambda limits, window, hash_: words_hash(limits.words, limits.overlap_words, window, hash_),
            make=lambda recipe, pieces: WordChunker(
                pieces, recipe.limits.words, recipe.limits.overlap_words, recipe.window, recipe.chunker_hash
            ),
        ),
    }
)


def chunker_recipe(settings: Settings) -> ChunkerRecipe:
    """Return how documents are cut under these settings.

    Raises ConfigError for an unknown chunker or version, for an overlap as long as the chunks, and for chunks that are
    over the encoder's window; DependencyUnavailableError when the tokenizer's model has not been exported.
    """
    limits = settings.chunking
    kind = _kind(limits)
    _check_overlap(limits)
    window = check_window(settings)
    folder = folder_of(settings.assets, limits.tokenizer)
    identity = kind.identity(limits, window, read_card(folder).files[TOKENIZER_NAME])
    return ChunkerRecipe(limits, folder, window, identity)


def check_window(settings: Settings) -> int | None:
    """Return how many word pieces every encoder in use reads of a chunk, None when they read all of any text.

    In use are the served space's encoder and those of `embedding.spaces`, for all of them encode the same chunks.
    Raises ConfigError when full chunks are longer.
    """
    if settings.chunking.overflow == "window_mean":
        return None
    encoders = {settings.embedding.served, *settings.embedding.spaces.values()}
    narrowest = min(encoders, key=lambda encoder: _window(settings, encoder))
    window = _window(settings, narrowest)
    setting, size = _kind(settings.chunking).asks(settings.chunking)
    if size > window:
        raise ConfigError(
            f"chunks of {setting} would be over the encoder's window, and their ends never encoded",
            where=f"{setting} and embedding.max_tokens",
            got=f"{setting} {size}",
            wanted=f"at most {window}: embedding.max_tokens {narrowest.max_tokens} of {narrowest.model}, less special "
            "tokens and the passage prefix",
            next_step=f"set {setting} to {window} or less, or chunking.overflow to window_mean",
        )
    return window


def make_chunker(recipe: ChunkerRecipe) -> Chunker:
    """Return the chunker of a recipe. Raises DependencyUnavailableError when the tokenizer's file was changed."""
    pieces = WordPieces(verified_file(recipe.model_folder, TOKENIZER_NAME))
    return CHUNKERS[recipe.limits.chunker].make(recipe, pieces)


def _kind(limits: ChunkingSettings) -> ChunkerKind:
    if limits.chunker not in CHUNKERS:
        raise ConfigError(
            "there is no such chunker",
            where="chunking.chunker",
            got=limits.chunker,
            wanted=f"one of {', '.join(sorted(CHUNKERS))}",
        )
    kind = CHUNKERS[limits.chunker]
    if limits.version not in (None, kind.version):
        raise ConfigError(
            f"the chunker {limits.chunker} is of another version than the pinned one",
            where="chunking.version",
            got=kind.version,
            wanted=limits.version,
            next_step="unset chunking.version: every document is cut, and every changed chunk encoded, anew",
        )
    return kind


def _check_overlap(limits: ChunkingSettings) -> None:
    if limits.chunker == "words" and limits.overlap_words >= limits.words:
        raise ConfigError(
            "chunks would repeat each other without end",
            where="chunking.overlap_words",
            got=limits.overlap_words,
            wanted=f"fewer than chunking.words, which is {limits.words}",
        )


def _window(settings: Settings, encoder: EncoderSettings) -> int:
    """Return how many word pieces of a chunk an encoder reads."""
    prefix = load_word_pieces(settings).count(encoder.passage_prefix) if encoder.passage_prefix else 0
    return encoder.max_tokens - SPECIAL_TOKENS - prefix
