"""Shell patterns over paths below a folder, with `**` for any number of folders.

As in a shell, a wildcard does not match a leading dot: hidden files and folders have to be asked for by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


class Globs:
    """A set of patterns. Paths are relative, with forward slashes; case counts."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._expressions = [re.compile(_translate(pattern)) for pattern in patterns]

    def match(self, path: str) -> bool:
        """Return whether any pattern matches the whole path."""
        return any(expression.fullmatch(path) for expression in self._expressions)


def _translate(pattern: str) -> str:
    segments = pattern.removeprefix("./").split("/")
    return "".join(_segment(segment, is_last=at == len(segments) - 1) for at, segment in enumerate(segments))


def _segment(segment: str, *, is_last: bool) -> str:
    if segment == "**":
        return r"(?:(?!\.)[^/]+/)*" + (r"(?!\.)[^/]+" if is_last else "")
    guard = r"(?!\.)" if segment[:1] in ("*", "?", "[") else ""
    parts = re.findall(r"\*|\?|\[!?[^\]]+\]|[^*?\[]+|\[", segment)
    return guard + "".join(_part(part) for part in parts) + ("" if is_last else "/")


def _part(part: str) -> str:
    if part == "*":
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if part.startswith("[") and len(part) > 1:
        inverted = part.startswith("[!")
        inside = part[2 if inverted else 1 : -1].replace("\\", r"\\").replace("^", r"\^").replace("[", r"\[")
        return f"[{'^' if inverted else ''}{inside}]"
    return re.escape(part)
