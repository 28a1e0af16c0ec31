"""What stands behind an encoder's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ragstone.embedding.port import Embedder
from ragstone.embedding.spec import EmbeddingSpec, Overflow
from ragstone.runtime.settings import EncoderSettings


@dataclass(frozen=True)
class EncoderKind:
    """How one kind of encoder is told apart and opened.

    `describe` gives what the vectors of a space mean without loading a model: space, encoder, assets, overflow.
    `open` gives the encoder of a spec: spec, encoder, assets.
    """

    describe: Callable[[str, EncoderSettings, Path, Overflow], EmbeddingSpec]
    open: Callable[[EmbeddingSpec, EncoderSettings, Path], Embedder]
