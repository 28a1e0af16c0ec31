from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.embedding.tokenizer import WordPieces, load_word_pieces
from ragstone.runtime.settings import Settings, load_settings


@pytest.fixture
def pieces(settings: Settings) -> WordPieces:
    return load_word_pieces(settings)


def test_spans_are_code_points_of_the_text(pieces: WordPieces):
    text = "😀 Größe, tokenisation"

    assert [text[start:end] for start, end in pieces.spans(text)] == ["😀", "Gr", "ö", "ße", ",", "token", "isation"]


def test_texts_of_any_length_are_counted_whole(pieces: WordPieces):
    assert pieces.count("word " * 1_000) == 1_000
    assert len(pieces.spans("word " * 1_000)) == 1_000


def test_nothing_has_no_pieces(pieces: WordPieces):
    assert (pieces.count(""), pieces.spans(" \n")) == (0, [])


@given(st.text(max_size=200))
def test_spans_lie_in_the_text_in_order_and_agree_with_the_count(text: str):
    pieces = load_word_pieces(load_settings())
    spans = pieces.spans(text)

    assert len(spans) == pieces.count(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert [start for start, _ in spans] == sorted(start for start, _ in spans)
