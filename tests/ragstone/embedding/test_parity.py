"""The encoders agree: run by `make test-parity`, where sentence-transformers is installed."""

from __future__ import annotations

from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest

from ragstone.embedding.load import load_embedder
from ragstone.runtime.settings import load_settings

pytestmark = pytest.mark.parity

SHORT = ["", "a", "How are chunks embedded?", "ÀÉÎ Größe naïve", "日本語の文", "😀😀", "x" * 300, "word " * 600]


def test_both_encoders_give_the_same_vectors(home: Path):
    texts = [*SHORT, *(text[start : start + 900] for text in list(topics.values())[:40] for start in (0, 900))]
    encoders = [
        load_embedder(load_settings(home=home, embedding={"encoder": encoder}))
        for encoder in ("onnx", "sentence-transformers")
    ]

    ours, reference = (encoder.encode(texts) for encoder in encoders)

    assert np.sum(ours * reference, axis=1).min() >= 0.9999
    assert encoders[0].spec == encoders[1].spec
    assert encoders[1].encode([]).shape == (0, 384)
