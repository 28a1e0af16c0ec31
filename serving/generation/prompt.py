"""The prompt: read from conf/prompts, checked, and filled with passages that cannot be taken for instructions."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from ragstone.contracts.identity import stable_hash
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import Settings

DONT_KNOW: Final = "I don't know."
_SEPARATOR: Final = "--- message ---\n"
_PLACES: Final = {"passages", "earlier_questions", "question"}


@dataclass(frozen=True)
class Passage:
    """One chunk as the model sees it; `marker` is the number it is cited by, from 1."""

    marker: int
    title: str
    text: str


@dataclass(frozen=True)
class Prompt:
    """`rules` go to the model as its system message; `message`, filled, as the message it answers."""

    rules: str
    message: str

    @cached_property
    def prompt_hash(self) -> str:
        """Return the identity of the prompt."""
        return stable_hash("prompt", self.rules, self.message)

    def filled(self, question: str, passages: Sequence[Passage], earlier_questions: Sequence[str]) -> str:
        """Return the message for one question.

        Of earlier turns only the questions are told: an earlier answer may quote a document that is deleted by now.
        """
        fillings = {
            "passages": "\n".join(map(_packed, passages)),
            "earlier_questions": "\n".join(f"- {_escaped(earlier)}" for earlier in earlier_questions) or "(none)",
            "question": _escaped(question),
        }
        # One pass, so that a placeholder inside a passage stays what it is: text.
        return re.sub(r"\{(\w+)\}", lambda place: fillings[place[1]], self.message)


def load_prompt(settings: Settings) -> Prompt:
    """Return the prompt that the settings name. Raises ConfigError when it is missing or cannot be filled."""
    path = settings.conf / "prompts" / f"{settings.llm.prompt}.txt"
    if not path.is_file():
        raise ConfigError(
            "there is no such prompt",
            where=str(path),
            got=settings.llm.prompt,
            wanted=f"one of {', '.join(sorted(found.stem for found in path.parent.glob('*.txt')))}",
            next_step="correct llm.prompt, or write that file",
        )
    rules, separator, message = path.read_text("utf-8").partition(_SEPARATOR)
    places = re.findall(r"\{(\w+)\}", message)
    if not separator or sorted(places) != sorted(_PLACES) or DONT_KNOW not in rules:
        raise ConfigError(
            "a prompt cannot be filled",
            where=str(path),
            got=f"the places {places}" if separator else f"no line {_SEPARATOR.strip()!r}",
            wanted=f"rules that demand {DONT_KNOW!r}, the line, and once each of {sorted(_PLACES)}",
        )
    return Prompt(rules.strip(), message.strip())


def _packed(passage: Passage) -> str:
    title = html.escape(passage.title)
    return f'<passage number="{passage.marker}" title="{title}">\n{_escaped(passage.text)}\n</passage>'


def _escaped(text: str) -> str:
    """Return text in which nothing can end its passage and open another."""
    return html.escape(text, quote=False)
