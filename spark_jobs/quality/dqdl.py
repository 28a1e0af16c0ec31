"""DQDL as text: single rules out of a file, and rules bound to the rows of one source. What they mean, Deequ knows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from ragstone.runtime.errors import ConfigError

_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)
_DIRECTIVE: Final = re.compile(r"^\s*#\s*(without|watch):\s*(\S.*?)\s*$", re.MULTILINE)
_RULES: Final = re.compile(r"\s*Rules\s*=\s*\[(.*)\]\s*", re.DOTALL)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
# The innermost brackets of a composite rule, `(A) or (B)`: each holds one rule.
_LEAF: Final = re.compile(r"\(([^()]*)\)")


def rules_in(text: str, name: str) -> tuple[str, ...]:
    """Return the rules of a file named `name`, in its order. Raises ConfigError when it is no list of rules."""
    found = _RULES.fullmatch(_COMMENT.sub("", text))
    if found is None:
        raise ConfigError(
            "rules are not DQDL that Deequ understands",
            where=f"conf/quality/{name}",
            got=text.strip()[:80],
            wanted="Rules = [ ... ]",
        )
    return tuple(rule for rule in _split(found[1]) if rule)


def told(text: str, word: str) -> tuple[str, ...]:
    """Return what lines `# word: ...` say, in their order: `without` a rule, `watch` a metric."""
    return tuple(said for found, said in _DIRECTIVE.findall(text) if found == word)


def ruleset(rules: Sequence[str]) -> str:
    """Return rules as one DQDL text."""
    return "Rules = [\n" + ",\n".join(rules) + "\n]"


def same_rule(first: str, second: str) -> bool:
    """Return whether two rules are written alike, but for white space and a comma at the end."""
    return first.split() == second.rstrip(",").split()


def scoped(rule: str, source: str) -> str:
    """Return a rule that is about the rows of one source alone. Raises ConfigError for a rule that is so already."""
    return _bound(rule, f"source = {_literal(source)}")


def exempt(rule: str, sources: Sequence[str]) -> str:
    """Return a rule that is about all rows but those of some sources."""
    return _bound(rule, f"coalesce(source, '') not in ({', '.join(map(_literal, sources))})")


def _bound(rule: str, condition: str) -> str:
    masked, quoted = _masked(rule)
    if re.search(r"\bwhere\b", masked):
        raise ConfigError("a rule that is bound to a source has a where of its own", got=rule, wanted="one without")
    where = f' where "{condition}"'
    # A composite rule takes no `where`; its parts do.
    bound = _LEAF.sub(rf"(\1{where})", masked) if masked.startswith("(") else f"{masked}{where}"
    return _unmasked(bound, iter(quoted))


def _split(body: str) -> list[str]:
    """Return the parts of a list, cut at commas outside quotes and brackets, each on one line."""
    masked, quoted = _masked(body)
    parts, depth = [""], 0
    for character in masked:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    waiting = iter(quoted)
    return [_unmasked(" ".join(part.split()), waiting) for part in parts]


def _masked(text: str) -> tuple[str, list[str]]:
    """Return text with a mark in place of each quoted string, and those strings."""
    return _QUOTED.sub("\0", text), _QUOTED.findall(text)


def _unmasked(text: str, quoted: Iterator[str]) -> str:
    return re.sub("\0", lambda _: next(quoted), text)


def _literal(source: str) -> str:
    if '"' in source or "\\" in source:
        raise ConfigError("a source of this name cannot have rules", got=source, wanted='no " and no \\ in it')
    return "'" + source.replace("'", "''") + "'"
