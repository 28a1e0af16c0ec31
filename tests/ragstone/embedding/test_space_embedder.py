from __future__ import annotations

import numpy as np
import pytest

from ragstone.embedding.load import embedding_spec, in_space, load_embedder
from ragstone.embedding.space_embedder import windows
from ragstone.embedding.tokenizer import load_word_pieces
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings, load_settings

PIECES = load_word_pieces(Settings())
LONG = "Redis keeps the newest row of every key. " * 60


def test_a_prefix_is_part_of_what_is_encoded_and_of_the_encoders_identity(home):
    plain = load_embedder(load_settings(home=home))
    prefixed = load_embedder(
        load_settings(home=home, embedding={"query_prefix": "query: ", "passage_prefix": "passage: "})
    )

    np.testing.assert_array_equal(prefixed.encode(["a fox"]), plain.encode(["passage: a fox"]))
    np.testing.assert_array_equal(prefixed.encode_questions(["a fox"]), plain.encode(["query: a fox"]))
    np.testing.assert_array_equal(plain.encode_questions(["a fox"]), plain.encode(["a fox"]))
    assert prefixed.spec.encoder_hash != plain.spec.encoder_hash


def test_the_end_of_a_long_text_counts_in_a_mean_over_windows_and_not_where_it_is_cut(home):
    mean = load_embedder(load_settings(home=home, chunking={"overflow": "window_mean"}))
    cut = load_embedder(load_settings(home=home))
    texts = [LONG, LONG + "A dog barks at the moon. " * 40, "short"]

    first, second, short = mean.encode(texts)

    np.testing.assert_array_equal(*cut.encode(texts[:2]))
    assert float(first @ second) < 0.99
    np.testing.assert_allclose(np.linalg.norm([first, second], axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(short, cut.encode(["short"])[0])
    parts = cut.encode(list(windows(LONG, PIECES, 254)))
    np.testing.assert_allclose(first, parts.sum(0) / np.linalg.norm(parts.sum(0)), atol=1e-6)
    assert mean.spec.encoder_hash != cut.spec.encoder_hash


@pytest.mark.parametrize("text", [LONG, "unbelievability " * 200, "語" * 300, "x" * 90 + "y" * 9, "한국어" * 99, ""])
def test_windows_hold_at_most_so_many_pieces_and_all_of_the_text(text):
    found = list(windows(text, PIECES, 16))

    assert "".join("".join(found).split()) == "".join(text.split())
    # A word that is cut has a piece or two more on the other side of the cut.
    assert max(PIECES.count(window) for window in found) <= 18


def test_windows_are_cut_between_words():
    found = list(windows("unbelievability " * 50, PIECES, 16))

    assert {word for window in found for word in window.split()} == {"unbelievability"}


def test_a_space_of_its_own_settings_is_told_from_the_others(home):
    settings = load_settings(home=home, embedding={"spaces": {"narrow": {"max_tokens": 128}}})

    assert embedding_spec(settings).max_tokens == 256
    narrow = embedding_spec(in_space(settings, "narrow"))
    assert (narrow.space, narrow.max_tokens) == ("narrow", 128)
    assert in_space(in_space(settings, "narrow"), "minilm_fp32") == settings


def test_an_unknown_encoder_is_refused_with_the_names_of_those_there_are(home):
    with pytest.raises(ConfigError) as refused:
        embedding_spec(load_settings(home=home, embedding={"encoder": "word2vec"}))

    assert refused.value.wanted == "one of onnx, openai, sentence-transformers"
