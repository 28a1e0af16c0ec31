import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragstone.text.normalise import normalise

# Letters, marks, joiners, emoji, spaces and breaks of every kind, close enough together to meet.
TRICKY = st.text(
    st.one_of(
        st.sampled_from("aé e\u0301\u0323\u2126\u00a0\t\r\n\v\u2028\u200b\u200c\u200d\u00ad\ufeff\x00\x1b\x85-#\u3000"),
        st.sampled_from("\u0645\u06cc\u0915\u094d\u1100\u1161\ufe0f\U0001f468\U0001f469\U0001f1e6\ud800"),
        st.characters(),
    ),
    max_size=40,
)


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("a  b \t c", "a b c"),
        ("a\u00a0b\u3000c", "a b c"),
        ("one\r\ntwo\rthree\u2028four", "one\ntwo\nthree\nfour"),
        ("a\n\n\n\n\nb", "a\n\nb"),
        ("zero\u200bwidth\ufeff soft\u00adhyphen\u2060", "zerowidth softhyphen"),
        ("bell\x07 null\x00 escape\x1b[0m", "bell null escape[0m"),
        ("right\u202eleft", "rightleft"),
        ("def f():\n    return  1  \n\ttab", "def f():\n    return 1\n    tab"),
        ("  \n padded \n ", "padded"),
        ("lone \ud800surrogate", "lone surrogate"),
        ("la\u200dtin", "latin"),
    ],
)
def test_what_cannot_be_seen_goes_and_what_carries_meaning_stays(raw: str, wanted: str) -> None:
    assert normalise(raw) == wanted


@pytest.mark.parametrize(
    "text", ["\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"]
)
def test_joiners_stay_where_they_change_what_is_read(text: str) -> None:
    assert normalise(text) == text


@given(TRICKY)
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(TRICKY)
def test_normalised_text_is_nfc_encodable_and_has_no_outer_space(text: str) -> None:
    result = normalise(text)
    assert unicodedata.is_normalized("NFC", result)
    assert result.encode("utf-8").decode("utf-8") == result
    assert result == result.strip()
