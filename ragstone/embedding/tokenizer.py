"""A model's own tokens: what a chunk's size is measured in."""

from __future__ import annotations

import functools
from pathlib import Path

from tokenizers import Tokenizer

from ragstone.embedding.model_files import TOKENIZER_NAME, folder_of, verified_file
from ragstone.runtime.settings import Settings


class WordPieces:
    """Counts and finds the word pieces of a text of any length, special tokens left out."""

    def __init__(self, path: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(path))
        # The file truncates and pads at 128.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return [start, end) of every word piece, in code points of `text`, in reading order."""
        offsets: list[tuple[int, int]] = self._tokenizer.encode(text, add_special_tokens=False).offsets
        return offsets

    def count(self, text: str) -> int:
        """Return how many word pieces the text has."""
        return len(self._tokenizer.encode(text, add_special_tokens=False))


def load_word_pieces(settings: Settings) -> WordPieces:
    """Return the word pieces that chunks are measured in, loaded once per process.

    Raises DependencyUnavailableError when the model's files are missing or not as they were exported.
    """
    return _load(folder_of(settings.assets, settings.chunking.tokenizer))


@functools.cache
def _load(folder: Path) -> WordPieces:
    return WordPieces(verified_file(folder, TOKENIZER_NAME))
