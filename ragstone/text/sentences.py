"""Where sentences begin and end: by rule, without a model, in linear time."""

from __future__ import annotations

import re
from typing import Final

_CLOSING: Final = "\"'\u2019\u201d\u00bb)\\]\u300d\u300f\uff09"
# A full stop of the Latin kind ends a sentence only before space; one of an East Asian kind always does.
# Possessive runs, begun only where a run begins: a million dots in a row take linear time.
_END = re.compile(
    rf"(?<![.!?\u2026])[.!?\u2026]++[{_CLOSING}]*+(?=\s)"
    rf"|[\u3002\uff01\uff1f\uff0e\u0964\u0965\u061f\u06d4\u1362\u17d4]+[{_CLOSING}]*"
    r"|\n[ ]*\n"
    r"|\n(?=[ ]*(?:[-*+\u2022]|\d{1,3}[.)])[ ])"
)
_NEXT = re.compile(r"\s*([^\s])")
_LAST_WORD = re.compile(r"[^\s(\[\"'\u201c]{1,12}$")
_INITIAL = re.compile(r"(?:[^\W\d_]\.){2,}|[A-Z]\.")
_ABBREVIATION = re.compile(
    r"(?:mr|mrs|ms|dr|prof|sr|jr|st|vs|etc|cf|al|figs?|nos?|vols?|pp?|eds?|sec|ch|eq|approx|inc|ltd|corp|co|dept|est|gen"
    r"|col|lt|sgt|rev|hon|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|e\.g|i\.e"
    r"|bzw|ca|usw|z\.b|d\.h|u\.a|nr|bspw|evtl|ggf|inkl)\.",
    re.IGNORECASE,
)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Return the sentences of a text as [start, end) in code points: in order, apart, without surrounding space.

    A blank line and the beginning of a list item end a sentence whatever stands there. Every character that is not
    space is in exactly one span.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _END.finditer(text):
        if _ends_sentence(text, match):
            _add(spans, text, start, match.end())
            start = match.end()
    _add(spans, text, start, len(text))
    return spans


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    stripped = piece.strip()
    if stripped:
        first = start + len(piece) - len(piece.lstrip())
        spans.append((first, first + len(stripped)))


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    mark = match.group()
    if mark[0] != ".":
        # "!", "?" and the ellipsis go on inside a sentence when a small letter follows: 'Why?" she asked.'
        return mark[0] not in "!?\u2026" or not _goes_on(text, match.end())
    if _goes_on(text, match.end()):
        return False
    last = _LAST_WORD.search(text, max(0, match.start() - 12), match.start() + 1)
    word = last.group() if last else ""
    return not (_INITIAL.fullmatch(word) or _ABBREVIATION.fullmatch(word))


def _goes_on(text: str, position: int) -> bool:
    following = _NEXT.match(text, position)
    return following is not None and following.group(1).islower()
