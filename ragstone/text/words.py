"""The words of a text, as the lexical side of ranking and abstaining counts them."""

from __future__ import annotations

import re

# Scripts written without spaces give one word for each character; elsewhere letters, digits and inner apostrophes join.
_UNSPACED = "\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+(?:['\u2019](?:(?![{_UNSPACED}])\w)+)*")


def words(text: str) -> list[str]:
    """Return the words of a text in order, case-folded, repeats included; punctuation is left out."""
    return [word.replace("\u2019", "'") for word in _WORD.findall(text.casefold())]
