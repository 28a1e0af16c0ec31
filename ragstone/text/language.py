"""Which language a text is in, told by its script or by its commonest words; None where that does not tell."""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

from ragstone.text.words import words

_SAMPLE_CHARS: Final = 20_000
_MIN_HITS: Final = 3
_MIN_SHARE: Final = 0.08

_SCRIPTS: Final = {
    "ja": re.compile("[\u3040-\u30ff]"),
    "ko": re.compile("[\uac00-\ud7af]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "el": re.compile("[\u0370-\u03ff]"),
    "he": re.compile("[\u0590-\u05ff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "hi": re.compile("[\u0900-\u097f]"),
    "th": re.compile("[\u0e00-\u0e7f]"),
    "ru": re.compile("[\u0400-\u04ff]"),
}
# Words that are common in one language and rare in the others here; words shared by several would not tell them apart.
_COMMON: Final = {
    "en": "the and of to is that with for this are which be by from as not have it can",
    "de": "der die und das ist nicht mit ein eine von zu auf den dem auch sich werden wird",
    "fr": "le les et des est une dans pour que qui sur pas du au avec sont cette par",
    "es": "el los y las es una por para que con del se no al como más pero su",
    "it": "il di che è per una non sono della con gli nel alla anche più dei questo come",
    "pt": "o os e um uma não para com que do da em mais como ao pelo são dos",
    "nl": "het een van en is dat niet zijn op te voor met aan worden ook naar bij deze",
}
_LANGUAGES_OF: Final = {
    word: tuple(code for code, common in _COMMON.items() if word in common.split())
    for word in {word for common in _COMMON.values() for word in common.split()}
}


def detect_language(text: str) -> str | None:
    """Return the ISO 639-1 code of the language most of the text is in, or None when that cannot be told."""
    sample = text[:_SAMPLE_CHARS]
    letters = sum(character.isalpha() for character in sample)
    for code, script in _SCRIPTS.items():
        # Japanese mixes in Chinese characters, so a fifth of kana settles it; the others must be the bulk of the text.
        if letters and len(script.findall(sample)) > letters * (0.2 if code == "ja" else 0.5):
            return code
    return _by_common_words(words(sample))


def _by_common_words(found: list[str]) -> str | None:
    hits: Counter[str] = Counter()
    for word in found:
        for code in _LANGUAGES_OF.get(word, ()):
            hits[code] += 1
    best = hits.most_common(2)
    if not best or best[0][1] < max(_MIN_HITS, _MIN_SHARE * len(found)):
        return None
    is_tie = len(best) > 1 and best[0][1] == best[1][1]
    return None if is_tie else best[0][0]
