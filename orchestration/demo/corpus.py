"""The demo's documents: text that every installation of Ragstone already has, exported as files.

The language reference comes from `pydoc_data.topics`, READMEs from the metadata of installed packages. The same
installation always exports the same files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from orchestration.demo.questions import SOURCES

# Topics above this size repeat whole other topics: `compound` holds `if`, `with`, `try` and more, word for word.
_LARGEST_DOCUMENT = 30_000
_SMALLEST_DOCUMENT = 200
_SUFFIX_BY_TYPE: Final = {"text/markdown": ".md", "text/x-rst": ".rst"}


@dataclass(frozen=True)
class Exported:
    """What was written: documents and characters, by kind (`topics`, `readmes`)."""

    documents: dict[str, int]
    characters: dict[str, int]


def export(folder: Path, max_characters: int) -> Exported:
    """Write the corpus as files below `folder`, at most `max_characters` of text.

    What the five questions are answered from comes first, then the topics, then READMEs, each by name.
    """
    documents: dict[str, int] = {}
    characters: dict[str, int] = {}
    budget = max_characters
    found = [*_topics(), *_readmes()]
    for kind, name, text in sorted(found, key=lambda document: f"{document[0]}/{document[1]}" not in SOURCES):
        if len(text) > budget:
            continue
        path = folder / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        budget -= len(text)
        documents[kind] = documents.get(kind, 0) + 1
        characters[kind] = characters.get(kind, 0) + len(text)
    return Exported(documents, characters)


def _topics() -> Iterator[tuple[str, str, str]]:
    from pydoc_data.topics import topics

    for name in sorted(topics):
        if _SMALLEST_DOCUMENT <= len(topics[name]) <= _LARGEST_DOCUMENT:
            yield "topics", f"{name}.txt", topics[name]


def _readmes() -> Iterator[tuple[str, str, str]]:
    found = {name: (suffix, text) for name, suffix, text in _descriptions()}
    for name in sorted(found):
        suffix, text = found[name]
        if _SMALLEST_DOCUMENT <= len(text) <= _LARGEST_DOCUMENT:
            yield "readmes", f"{name}{suffix}", text


def _descriptions() -> Iterator[tuple[str, str, str]]:
    """Yield normalised name, suffix and README of every installed package that says how its README is written."""
    for distribution in metadata.distributions():
        about = distribution.metadata
        kind = (about["Description-Content-Type"] or "").partition(";")[0].strip().lower()
        text = about.json.get("description")
        if kind in _SUFFIX_BY_TYPE and isinstance(text, str):
            yield re.sub(r"[-_.]+", "-", about["Name"]).lower(), _SUFFIX_BY_TYPE[kind], text
