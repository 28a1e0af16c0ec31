"""Which documents act 4 edits and deletes: chosen by the seed, each with a sentence that only it contains."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from orchestration.demo.questions import SOURCES
from orchestration.demo.stage import DemoError, Stage
from ragstone.contracts.tables import SILVER_DOCUMENTS
from ragstone.lake.read import state
from ragstone.text.sentences import sentence_spans
from ragstone.text.words import words

_SHORTEST, _LONGEST = 60, 220
_FEWEST_WORDS: Final = 9
# Code, tables and lists of links are sentences to no reader.
_MOSTLY_PROSE: Final = 0.9
# A sentence of a long document is one voice among many in its chunk; the acts are about deletes, not about retrieval.
_SMALLEST_EDITED: Final = 3_000
_LARGEST_DOCUMENT: Final = 12_000


@dataclass(frozen=True)
class Document:
    """One living document of the lake."""

    document_id: str
    source_uri: str
    text: str


@dataclass(frozen=True)
class Chosen:
    """A document and the sentence that it alone contains."""

    document: Document
    sentence: str

    @property
    def question(self) -> str:
        """Return a question that the sentence answers, made from the sentence itself."""
        return f'Where is it said that "{one_line(self.sentence)}"?'

    def place_in(self, text: str) -> re.Match[str] | None:
        """Return where the sentence stands in a text whose lines may be broken elsewhere, or None."""
        return re.search(r"\s+".join(map(re.escape, self.sentence.split())), text)


def choose(stage: Stage, is_answered_from: Callable[[Chosen], bool]) -> tuple[Chosen, Chosen]:
    """Return the document to edit and the document to delete: in the seed's order, the first that can be asked about.

    A sentence drowned by the rest of its chunk is not found by its own question; that says nothing of deletes, so
    `is_answered_from` has the last word. The one to edit is plain text, where a sentence of the text is one of the
    file, and has more than a chunk or two, so that what stays as it was can be seen. Raises DemoError.
    """
    candidates = _candidates(_documents(stage))
    order = random.Random(stage.seed).sample(candidates, len(candidates))
    deleted = _first(order, is_answered_from)
    rest = (chosen for chosen in order if chosen != deleted and _can_be_edited(stage, chosen))
    return _first(rest, is_answered_from), deleted


def _first(order: Iterable[Chosen], is_answered_from: Callable[[Chosen], bool]) -> Chosen:
    for chosen in order:
        if is_answered_from(chosen):
            return chosen
    raise DemoError("no document is answered from by its own sentence", got=0, wanted="at least 1 for either act")


def _can_be_edited(stage: Stage, chosen: Chosen) -> bool:
    name, text = chosen.document.source_uri, chosen.document.text
    if not name.endswith(".txt") or len(text) < _SMALLEST_EDITED:
        return False
    return chosen.place_in((stage.corpus / name).read_text("utf-8")) is not None


def _documents(stage: Stage) -> list[Document]:
    columns = ("document_id", "source_uri", "text")
    rows = state(stage.settings.lake_root, SILVER_DOCUMENTS, columns=columns).to_pylist()
    return sorted((Document(**row) for row in rows), key=lambda document: document.source_uri)


def _candidates(documents: Sequence[Document]) -> list[Chosen]:
    texts = [one_line(document.text) for document in documents]
    spread = Counter(word for text in texts for word in set(words(text)))
    found = []
    for document in documents:
        if len(document.text) <= _LARGEST_DOCUMENT and document.source_uri not in SOURCES:
            own = [sentence for sentence in _prose(document.text) if _holders(sentence, texts) == 1]
            found.extend([Chosen(document, max(own, key=lambda one: _rarity(one, spread)))] if own else [])
    return found


def one_line(text: str) -> str:
    """Return a text with every run of space as one space."""
    return " ".join(text.split())


def _holders(sentence: str, texts: Sequence[str]) -> int:
    # Lines are broken elsewhere in every document, so breaks are no difference.
    return sum(one_line(sentence) in text for text in texts)


def _prose(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text) if _is_prose(text[start:end])]


def _is_prose(sentence: str) -> bool:
    if not (_SHORTEST <= len(sentence) <= _LONGEST and sentence[0].isupper() and sentence.endswith(".")):
        return False
    letters = sum(character.isalpha() or character.isspace() for character in sentence)
    return len(words(sentence)) >= _FEWEST_WORDS and letters >= _MOSTLY_PROSE * len(sentence)


def _rarity(sentence: str, spread: Counter[str]) -> float:
    """Return the mean rarity of a sentence's words; the position decides nothing, so equal texts choose equally."""
    said: Iterable[str] = words(sentence)
    shares = [1 / spread[word] for word in said]
    return sum(shares) / len(shares)
