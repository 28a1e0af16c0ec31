from __future__ import annotations

import pytest

from ragstone.embedding.tokenizer import load_word_pieces
from ragstone.runtime.settings import Settings
from spark_jobs.chunking.words import WordChunker, words_hash
from spark_jobs.parsers.document import Heading

PIECES = load_word_pieces(Settings())


def chunks_of(text, words=10, overlap=3, window=None, headings=()):
    return WordChunker(PIECES, words, overlap, window, "hash").chunk("document", text, headings)


def test_chunks_have_so_many_words_and_begin_with_the_last_of_the_one_before():
    words = [f"w{number}" for number in range(24)]

    found = [chunk.text.split() for chunk in chunks_of(" ".join(words))]

    assert found == [words[0:10], words[7:17], words[14:24]]


def test_each_chunk_is_exactly_its_span_and_every_visible_character_is_in_one():
    text = "  Eins zwei.\n\nDrei   vier fünf " * 7 + "語" * 450 + " e\u0301" * 30

    found = chunks_of(text, window=12)

    covered = set()
    for chunk in found:
        assert text[chunk.char_start : chunk.char_end] == chunk.text
        covered.update(range(chunk.char_start, chunk.char_end))
    assert [place for place, character in enumerate(text) if not character.isspace() and place not in covered] == []
    assert [chunk.ordinal for chunk in found] == list(range(len(found)))
    assert len({chunk.chunk_id for chunk in found}) == len(found)


@pytest.mark.parametrize("text", ["antidisestablishmentarianism " * 60, "한국어" * 200, "語" * 1_000, "x" * 5_000])
def test_a_chunk_ends_before_the_encoders_window_does(text):
    found = chunks_of(text, words=50, overlap=20, window=60)

    assert len(found) > 1 or "x" in text
    assert max(PIECES.count(chunk.text) for chunk in found) <= 60


def test_words_full_of_pieces_and_a_long_overlap_still_come_to_an_end():
    found = chunks_of("antidisestablishmentarianism " * 40, words=16, overlap=15, window=16)

    starts, ends = [chunk.char_start for chunk in found], [chunk.char_end for chunk in found]
    assert starts == sorted(set(starts))
    assert ends == sorted(set(ends))


def test_a_mark_is_not_cut_from_what_it_stands_on():
    found = chunks_of("ก" * 99 + "ก\u0e34" + "ก" * 120, words=1, overlap=0)

    assert not any(chunk.text.startswith("\u0e34") for chunk in found)


def test_a_chunk_names_the_headings_above_its_beginning():
    text = "Top\none two three\nSub\nfour five six"
    headings = [Heading(0, 1, "Top"), Heading(text.index("Sub"), 2, "Sub")]

    found = chunks_of(text, words=4, overlap=0, headings=headings)

    assert [(chunk.text, chunk.heading_path) for chunk in found] == [
        ("Top\none two three", "Top"),
        ("Sub\nfour five six", "Top > Sub"),
    ]


def test_nothing_visible_gives_no_chunk():
    assert chunks_of(" \n\n ") == []


def test_every_limit_is_part_of_the_chunkers_identity():
    hashes = {words_hash(*limits) for limits in [(9, 3, 5, "t"), (8, 3, 5, "t"), (9, 2, 5, "t"), (9, 3, None, "t")]}

    assert len(hashes | {words_hash(9, 3, 5, "u")}) == 5
