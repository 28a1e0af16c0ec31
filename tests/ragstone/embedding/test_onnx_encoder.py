from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ragstone.embedding.load import embedding_spec, load_embedder
from ragstone.embedding.port import Embedder
from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.settings import Settings, load_settings

# Published with the model on its page, for `This is an example sentence`; rounded to four places.
PUBLISHED_HEAD = [0.0676, 0.0635, 0.0487, 0.0793]


@pytest.fixture
def embedder(settings: Settings) -> Embedder:
    return load_embedder(settings)


def test_vectors_are_those_that_the_models_authors_published(embedder: Embedder):
    (vector,) = embedder.encode(["This is an example sentence"])

    assert vector[:4].round(4).tolist() == pytest.approx(PUBLISHED_HEAD, abs=1e-4)


def test_rows_are_unit_float32_in_the_order_of_the_texts(embedder: Embedder):
    texts = ["a cat sleeps", "", "Größe 😀", "word " * 2_000]

    vectors = embedder.encode(texts)

    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float32)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4), abs=1e-6)
    assert (embedder.encode(texts[::-1])[::-1] == vectors).all()


def test_nothing_in_gives_no_rows(embedder: Embedder):
    assert embedder.encode([]).shape == (0, 384)


def test_a_row_is_the_same_to_the_last_bit_whatever_its_neighbours_and_threads(embedder: Embedder):
    text = "Retrieval needs one function for chunks and for questions."
    alone = embedder.encode([text])[0]

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda n: embedder.encode(["x " * n, text, "y"])[1], range(12)))

    assert all((row == alone).all() for row in rows)


def test_meaning_decides_what_is_near(embedder: Embedder):
    dog, hound, tax = embedder.encode(["A dog is barking.", "The hound barks.", "Tax returns are due in May."])

    assert dog @ hound > 0.6 > 0.2 > dog @ tax


def test_what_is_longer_than_the_limit_is_cut_there_and_not_before(embedder: Embedder):
    # `word` is one piece; two of the 256 are special tokens.
    at_limit, beyond, below = embedder.encode(["word " * 254, "word " * 300, "word " * 128])

    assert (at_limit == beyond).all()
    assert not (at_limit == below).all()


def test_the_spec_is_told_without_loading_a_runtime():
    script = (
        "import sys\n"
        "from ragstone.runtime.settings import load_settings\n"
        "from ragstone.embedding.load import embedding_spec\n"
        "print(embedding_spec(load_settings()).dim, sorted({'onnxruntime', 'tokenizers', 'onnx'} & set(sys.modules)))"
    )

    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout.strip() == "384 []"


def test_the_hash_follows_what_changes_vectors_and_nothing_else(home: Path):
    def encoder_hash(**embedding: object) -> str:
        return embedding_spec(load_settings(home=home, embedding=embedding)).encoder_hash

    assert encoder_hash() == encoder_hash(space="another_name") == encoder_hash(encoder="sentence-transformers")
    assert encoder_hash() != encoder_hash(max_tokens=128)


def test_more_tokens_than_the_model_was_made_for_are_refused(home: Path):
    settings = load_settings(home=home, embedding={"max_tokens": 513})

    with pytest.raises(ConfigError) as refused:
        load_embedder(settings)

    assert (refused.value.got, refused.value.where) == (513, "embedding.max_tokens")


def test_a_model_that_was_not_exported_is_named_with_the_command(home: Path):
    settings = load_settings(home=home, embedding={"model": "intfloat/e5-small"})

    with pytest.raises(DependencyUnavailableError) as refused:
        load_embedder(settings)

    assert "intfloat--e5-small" in str(refused.value.where)
    assert "python -m ragstone.embedding.export" in str(refused.value.next_step)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused_with_both_hashes(copied_model: Path, home: Path, name: str):
    changed = copied_model / "all-MiniLM-L6-v2" / name
    with changed.open("ab") as file:
        file.write(b" ")

    with pytest.raises(DependencyUnavailableError, match="not the one that was exported") as refused:
        load_embedder(load_settings(home=home, assets=copied_model.parent))

    assert refused.value.where == str(changed)
    assert str(refused.value.got) not in str(refused.value.wanted)


def test_other_weights_under_a_pinned_name_are_refused(copied_model: Path, home: Path):
    card = copied_model / "all-MiniLM-L6-v2" / "model.json"
    card.write_text(json.dumps({**json.loads(card.read_text()), "weights_sha256": "00" * 32}))

    with pytest.raises(DependencyUnavailableError, match="not the pinned ones") as refused:
        load_embedder(load_settings(home=home, assets=copied_model.parent))

    assert refused.value.got == "00" * 32
    assert str(refused.value.wanted).startswith("53aa5117")


def test_a_description_that_cannot_be_read_is_refused(copied_model: Path, home: Path):
    (copied_model / "all-MiniLM-L6-v2" / "model.json").write_text("{")

    with pytest.raises(DependencyUnavailableError, match="cannot be read"):
        embedding_spec(load_settings(home=home, assets=copied_model.parent))
