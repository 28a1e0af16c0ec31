"""Markdown's inline markup, taken off so that a reader could quote the text. Every pattern runs in linear time."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Final

# Two code points that stand for nothing in Unicode mark where a piece of code was taken out.
_OPEN: Final = "\ue000"
_CLOSE: Final = "\ue001"
_KEPT: Final = re.compile(f"{_OPEN}([0-9]+){_CLOSE}")
_CODE: Final = re.compile(r"(?<!`)``(?!`)((?:[^`\n]|`(?!`))+)``(?!`)|(?<!`)`([^`\n]+)`(?!`)|\\([!-/:-@\[-`{-~])")
_TARGET: Final = r"(?:\((?:[^()\n]++|\([^()\n]*+\))*+\)|\[[^\[\]\n]*+\])"
_TAGS: Final = (
    "a|abbr|b|blockquote|body|center|cite|code|dd|del|details|div|dl|dt|em|figcaption|figure|font|footer|h[1-6]|header"
    "|hr|html|i|iframe|img|ins|kbd|li|main|mark|nav|ol|p|picture|pre|q|s|samp|section|small|source|span|strike|strong"
    "|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|var|video"
)
_SUBSTITUTIONS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # An image inside a link is a badge or a button; an image that stands alone says something to who cannot see it.
    (re.compile(rf"\[!\[[^\[\]\n]*+\]{_TARGET}\]{_TARGET}"), ""),
    (re.compile(rf"!\[([^\[\]\n]*+)\]{_TARGET}"), r"\1"),
    (re.compile(rf"\[([^\[\]\n]++)\]{_TARGET}"), r"\1"),
    (re.compile(r"<((?:https?://|mailto:)[^<>\s]+)>"), r"\1"),
    (re.compile(r"<br\b[^<>]*>", re.IGNORECASE), "\n"),
    (re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>", re.IGNORECASE), ""),
    (re.compile(r"\*\*(?=[^\s*])([^*\n]++)\*\*"), r"\1"),
    # Names such as __init__ stay: only what holds a space is emphasis for sure.
    (re.compile(r"(?<!\w)__(?=[^\s_])([^_\n ]++ [^_\n]*+)__(?!\w)"), r"\1"),
    (re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]++)(?<=\S)\*(?![\w*])"), r"\1"),
    (re.compile(r"(?<!\w)_(?=[^\s_])([^_\n]++)(?<=\S)_(?!\w)"), r"\1"),
    (re.compile(r"~~(?=\S)([^~\n]++)~~"), r"\1"),
)


def without_markup(text: str) -> str:
    """Return Markdown text without emphasis, link targets, images' addresses, tags and escapes; code stays as it is."""
    return around_code(text, _CODE, _plain)


def around_code(text: str, code: re.Pattern[str], change: Callable[[str], str]) -> str:
    """Return text with `change` applied to all but its code; code is what the first group that matched found."""
    kept: list[str] = []

    def keep(found: re.Match[str]) -> str:
        kept.append(found.group(found.lastindex or 0))
        return f"{_OPEN}{len(kept) - 1}{_CLOSE}"

    # Code is set aside rather than cut out, because links and emphasis may reach around it.
    changed = change(code.sub(keep, text.replace(_OPEN, "")))
    return _KEPT.sub(lambda found: kept[int(found.group(1))], changed)


def _plain(text: str) -> str:
    for pattern, replacement in _SUBSTITUTIONS:
        text = pattern.sub(replacement, text)
    return html.unescape(text)
