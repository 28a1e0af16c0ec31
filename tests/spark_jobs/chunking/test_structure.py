import itertools
import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ragstone.contracts.identity import chunk_id, text_hash
from ragstone.embedding.tokenizer import load_word_pieces
from ragstone.runtime.settings import Settings
from ragstone.text.normalise import normalise
from spark_jobs.chunking.structure import StructureChunker, chunker_hash
from spark_jobs.parsers.document import Block, Heading, Page, assemble

PIECES = load_word_pieces(Settings())
SMALL = StructureChunker(PIECES, max_tokens=24, overlap_tokens=8, chunker_hash="small")
REAL = StructureChunker(PIECES, max_tokens=230, overlap_tokens=30, chunker_hash="real")

# Pieces of text that are hard to cut: no spaces, no sentences, marks and joiners, strings the tokenizer gives up on.
HARD = st.one_of(
    st.sampled_from(
        ["One.", "Two words.", "a", "Is it? ", "- item\n", "\n\n", "\n", " ", "e\u0301\u0323", "antidisestablish"]
    ),
    st.sampled_from(
        [
            "東京は大きい。",
            "漢字",
            "\U0001f468\u200d\U0001f469\u200d\U0001f467",
            "\U0001f44d\U0001f3fd",
            "हिन्दी।",
            "한국어",
        ]
    ),
    st.integers(1, 400).map(lambda length: "x" * length),
    st.integers(1, 60).map(lambda length: "q1z" * length),
    st.text(max_size=20),
)
TEXTS = st.lists(HARD, max_size=40).map(lambda parts: normalise("".join(parts)))
PAGES = st.lists(st.tuples(st.sampled_from([None, None, 1, 2, 3]), TEXTS), max_size=6)


def document(blocks):
    return assemble(Page([Block(text, level) for level, text in blocks]), "untitled")


def ids(chunks):
    return {chunk.chunk_id for chunk in chunks}


@given(PAGES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_spans_reproduce_the_text_and_nothing_is_over_the_cap_or_left_out(blocks):
    parsed = document(blocks)
    chunks = SMALL.chunk("document", parsed.text, parsed.headings)
    for ordinal, chunk in enumerate(chunks):
        assert chunk.ordinal == ordinal
        assert chunk.text == parsed.text[chunk.char_start : chunk.char_end]
        assert chunk.text == chunk.text.strip() != ""
        assert chunk.text_hash == text_hash(chunk.text)
        assert chunk.token_count == PIECES.count(chunk.text)
        assert chunk.token_count <= 24
        # White space stands for nothing, so it is no part of what is bounded.
        assert len("".join(chunk.text.split())) <= 240
    covered = {place for chunk in chunks for place in range(chunk.char_start, chunk.char_end)}
    assert {place for place, character in enumerate(parsed.text) if not character.isspace()} <= covered
    assert len(ids(chunks)) == len(chunks)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000,
        "ab12" * 2_500,
        "e\u0301" * 5_000,
        "a" + "\u0301" * 10_000,
        "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 1_000,
        "東京は日本の首都である" * 500,
        "word " * 5_000,
        "...!!!???" * 1_000,
        "한국어" * 1_000,
    ],
    ids=[
        "one word",
        "one gibberish word",
        "marks",
        "one mark after another",
        "emoji",
        "CJK",
        "no sentences",
        "dots",
        "hangul",
    ],
)
def test_text_without_places_to_cut_is_cut_all_the_same(text):
    text = normalise(text)
    chunks = REAL.chunk("document", text, [])
    assert chunks
    assert all(chunk.token_count == PIECES.count(chunk.text) <= 230 for chunk in chunks)
    assert all(len("".join(chunk.text.split())) <= 2_300 for chunk in chunks)
    assert {place for chunk in chunks for place in range(chunk.char_start, chunk.char_end)} >= {
        place for place, character in enumerate(text) if not character.isspace()
    }


def test_a_cut_parts_neither_a_mark_nor_a_joined_emoji_from_its_base():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    for text in ("x\u0323\u0307" * 2_000, family * 2_000):
        starts = [chunk.text[0] for chunk in REAL.chunk("document", text, [])]
        assert len(starts) > 2
        assert set(starts) == {text[0]}


def test_packing_restarts_at_every_heading_and_names_the_headings_above():
    parsed = document(
        [
            (None, "Before."),
            (1, "Guide"),
            (2, "Set up"),
            (None, "Install it."),
            (3, "Linux"),
            (None, "Use make."),
            (2, "Run"),
            (None, "Run it."),
        ]
    )
    chunks = REAL.chunk("document", parsed.text, parsed.headings)
    assert [(chunk.heading_path, chunk.text) for chunk in chunks] == [
        ("", "Before."),
        ("Guide > Set up", "Guide\n\nSet up\n\nInstall it."),
        ("Guide > Set up > Linux", "Linux\n\nUse make."),
        ("Guide > Run", "Run\n\nRun it."),
    ]


def test_chunks_of_a_section_overlap_by_whole_sentences():
    sentences = [f"Sentence number {number} says a little more." for number in range(40)]
    text = " ".join(sentences)
    chunks = REAL.chunk("document", text, [])
    assert len(chunks) > 1
    for before, chunk in itertools.pairwise(chunks):
        overlap = text[chunk.char_start : before.char_end]
        assert 0 < PIECES.count(overlap) <= 30
        assert overlap.startswith("Sentence number")
        assert overlap.endswith(".")


def test_a_chunk_is_named_by_its_text_and_its_occurrence():
    parsed = document([(1, "One"), (None, "Same."), (1, "One"), (None, "Same.")])
    first, second = REAL.chunk("document", parsed.text, parsed.headings)
    assert first.chunk_id == chunk_id("document", "real", text_hash("One\n\nSame."), 0)
    assert second.chunk_id == chunk_id("document", "real", text_hash("One\n\nSame."), 1)


def test_settings_and_tokenizer_make_another_chunker():
    assert (
        len(
            {
                chunker_hash(230, 30, "t"),
                chunker_hash(229, 30, "t"),
                chunker_hash(230, 29, "t"),
                chunker_hash(230, 30, "u"),
            }
        )
        == 4
    )


def prose(seed, paragraphs):
    """Return paragraphs of one to six sentences of 5 to 40 words, without two alike."""
    choose = random.Random(seed)
    words = [
        f"{choose.choice('bcdfglmnprst')}{choose.choice('aeiou')}{choose.choice(['rn', 'll', 'st', 'mp'])}"
        for _ in range(400)
    ]
    return [
        [
            " ".join(choose.choices(words, k=choose.randint(5, 40))).capitalize() + "."
            for _ in range(choose.randint(1, 6))
        ]
        for _ in range(paragraphs)
    ]


def joined(paragraphs):
    return "\n\n".join(" ".join(paragraph) for paragraph in paragraphs)


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=15, derandomize=True, deadline=None)
@example(0, 1)
def test_a_paragraph_put_in_front_keeps_every_id_of_later_sections(seed, paragraphs):
    sections = [(1, f"Section {number}") for number in range(3)]
    body = [(None, joined(prose(seed + number, 20))) for number in range(3)]
    blocks = [block for pair in zip(sections, body, strict=True) for block in pair]
    before = document(blocks)
    after = document([(None, joined(prose(seed + 9, paragraphs))), *blocks])
    inside = document([blocks[0], (None, joined(prose(seed + 9, paragraphs))), *blocks[1:]])
    known = REAL.chunk("document", before.text, before.headings)
    later = {chunk.chunk_id for chunk in known if not chunk.heading_path.startswith("Section 0")}
    assert ids(known) <= ids(REAL.chunk("document", after.text, after.headings))
    assert later <= ids(REAL.chunk("document", inside.text, inside.headings))


@pytest.mark.parametrize("seed", range(3))
def test_one_sentence_put_into_500_paragraphs_without_headings_changes_at_most_4_ids(seed):
    paragraphs, choose = prose(seed, 500), random.Random(seed)
    before = ids(REAL.chunk("document", joined(paragraphs), []))
    for place in [0, 499, *choose.sample(range(1, 499), 8)]:
        edited = [list(paragraph) for paragraph in paragraphs]
        edited[place].insert(
            choose.randint(0, len(edited[place])), "A sentence that nobody has read before stands here."
        )
        after = ids(REAL.chunk("document", joined(edited), []))
        assert 1 <= len(after - before) <= 4
        assert len(before - after) <= 4


def test_words_put_into_text_without_sentences_change_few_ids():
    choose = random.Random(5)
    words = ["".join(choose.choices("abcdefgh", k=5)) for _ in range(6_000)]
    before = ids(REAL.chunk("document", " ".join(words), []))
    after = ids(REAL.chunk("document", " ".join([*words[:3_000], "brand new", *words[3_000:]]), []))
    assert len(after - before) <= 4


def test_identical_sentences_without_end_are_cut_into_full_chunks():
    text = "The same again. " * 20_000
    chunks = REAL.chunk("document", text.strip(), [])
    assert sum(chunk.token_count for chunk in chunks) / len(chunks) > 100


def test_a_heading_at_the_end_is_kept():
    assert [c.text for c in REAL.chunk("d", "Body.\n\nEnd", [Heading(7, 1, "End")])] == ["Body.", "End"]
    assert REAL.chunk("d", "", []) == []


ROWS = [f"sensor-{number} | {number * 37 % 101}.{number % 7} mm | Hall {number % 9}. Checked." for number in range(60)]


def kept(blocks):
    return assemble(Page([Block(text, None, keeps_lines) for text, keeps_lines in blocks]), "untitled")


def test_rows_of_a_table_and_lines_of_code_are_not_cut():
    parsed = kept([("Prose before. More of it.", False), ("\n".join(ROWS), True), ("And after.", False)])

    chunks = REAL.chunk("document", parsed.text, parsed.headings, parsed.kept_lines)

    assert len(chunks) > 3
    lines = {line for chunk in chunks for line in chunk.text.splitlines() if line.startswith("sensor")}
    assert lines == set(ROWS)
    begins = {parsed.text[: chunk.char_start].rpartition("\n")[2] for chunk in chunks}
    assert begins == {""}


def test_a_row_over_the_cap_is_cut_and_its_neighbours_are_not():
    rows = [ROWS[0], "wide | " + "cell and cell " * 60, ROWS[1]]
    parsed = kept([("\n".join(rows), True)])

    chunks = SMALL.chunk("document", parsed.text, parsed.headings, parsed.kept_lines)

    assert all(chunk.token_count <= 24 for chunk in chunks)
    assert any(ROWS[0] in chunk.text for chunk in chunks)
    assert any(ROWS[1] in chunk.text for chunk in chunks)


@given(st.lists(st.tuples(st.lists(TEXTS, max_size=6), st.booleans()), max_size=4))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_kept_lines_lose_nothing_and_stay_under_the_cap(blocks):
    parsed = kept([("\n".join(lines), keeps_lines) for lines, keeps_lines in blocks])
    chunks = SMALL.chunk("document", parsed.text, parsed.headings, parsed.kept_lines)
    assert all(chunk.text == parsed.text[chunk.char_start : chunk.char_end] for chunk in chunks)
    assert all(chunk.token_count == PIECES.count(chunk.text) <= 24 for chunk in chunks)
    covered = {place for chunk in chunks for place in range(chunk.char_start, chunk.char_end)}
    assert {place for place, character in enumerate(parsed.text) if not character.isspace()} <= covered


def test_a_row_put_into_a_long_table_of_like_rows_changes_few_ids():
    rows = [f"| item {number % 50} | {number % 3} |" for number in range(2_000)]
    before, after = (kept([("\n".join(table), True)]) for table in (rows, [*rows[:900], "| new | 1 |", *rows[900:]]))
    old, new = (ids(REAL.chunk("d", one.text, (), one.kept_lines)) for one in (before, after))
    assert len(new - old) <= 6
