"""The reference encoder, for GPUs and for models that are no BERT: sentence-transformers, the extra `st`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ragstone.embedding.model_files import check_weights, read_card
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.telemetry import opt_out

opt_out()
try:
    from sentence_transformers import SentenceTransformer
except ImportError as missing:
    raise DependencyUnavailableError(
        "sentence-transformers is not installed",
        got=missing,
        wanted="the extra `st`",
        next_step="install requirements/st.txt, or set embedding.encoder to onnx",
    ) from missing

# Padding makes larger batches slower on a CPU; a GPU starves on single texts.
_CPU_BATCH: Final = 1
_GPU_BATCH: Final = 64


class SentenceTransformersEncoder:
    """A TextEncoder over the folder a model came from; nothing is downloaded.

    `device` is a name that torch knows, such as cpu or cuda; without one a GPU is taken when there is one.

    Raises DependencyUnavailableError when the weights there are no longer those that were taken in.
    """

    def __init__(self, folder: Path, spec: EmbeddingSpec, device: str | None = None) -> None:
        card = read_card(folder)
        check_weights(card)
        self._dim = spec.dim
        self._model = SentenceTransformer(card.source, device=device, local_files_only=True)
        self._model.max_seq_length = spec.max_tokens
        self._batch = _CPU_BATCH if self._model.device.type == "cpu" else _GPU_BATCH

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(texts), dim), rows in the order of `texts`, each of unit norm."""
        if not texts:
            return np.empty((0, self._dim), np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, np.float32)
