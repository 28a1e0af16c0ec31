import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.text.sentences import sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("One. Two? Three! Four", ["One.", "Two?", "Three!", "Four"]),
        ("Dr. Smith left on Jan. 3. He was late.", ["Dr. Smith left on Jan. 3.", "He was late."]),
        ("It costs 3.14 today. Buy e.g. two.", ["It costs 3.14 today.", "Buy e.g. two."]),
        ("J. R. R. Tolkien wrote it. We read it.", ["J. R. R. Tolkien wrote it.", "We read it."]),
        ('"Why?" she asked. He left.', ['"Why?" she asked.', "He left."]),
        ("Call os.path.join. It joins.", ["Call os.path.join.", "It joins."]),
        ("Title\n\nBody goes on\nhere.", ["Title", "Body goes on\nhere."]),
        ("- one\n- two\n3. three", ["- one", "- two", "3. three"]),
        ("東京は大きい。人が多い。本当", ["東京は大きい。", "人が多い。", "本当"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, wanted: list[str]) -> None:
    assert sentences(text) == wanted


@given(st.text(st.sampled_from("ab.!? \n。)-A1"), max_size=60))
def test_every_visible_character_is_in_exactly_one_sentence(text: str) -> None:
    covered = [position for start, end in sentence_spans(text) for position in range(start, end)]
    assert covered == sorted(set(covered))
    assert {position for position, character in enumerate(text) if not character.isspace()} <= set(covered)
