"""The default encoder: onnxruntime on one CPU core, one text at a time.

Without padding a batch gains nothing on a CPU, and one text at a time makes every row independent of its neighbours,
to the last bit. Throughput comes from one process per core.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from ragstone.embedding.model_files import ONNX_NAME, TOKENIZER_NAME, verified_file
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.runtime.telemetry import opt_out

opt_out()
import onnxruntime  # noqa: E402 - from its import on it reports home, unless it was told not to

_ERRORS_ONLY = 3


class OnnxEncoder:
    """A TextEncoder over an exported model folder. Raises DependencyUnavailableError when its files were changed."""

    def __init__(self, folder: Path, spec: EmbeddingSpec) -> None:
        self._dim = spec.dim
        self._tokenizer = Tokenizer.from_file(str(verified_file(folder, TOKENIZER_NAME)))
        # The file truncates and pads at 128.
        self._tokenizer.enable_truncation(spec.max_tokens)
        self._tokenizer.no_padding()
        self._session = open_session(verified_file(folder, ONNX_NAME))
        self._input = self._session.get_inputs()[0].name

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return float32 (len(texts), dim), rows in the order of `texts`, each of unit norm."""
        vectors = np.empty((len(texts), self._dim), np.float32)
        for row, text in enumerate(texts):
            ids = np.array([self._tokenizer.encode(text).ids], np.int64)
            vectors[row] = self._session.run(None, {self._input: ids})[0][0]
        return vectors


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """Return a graph ready to run on one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
