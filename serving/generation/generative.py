"""The generative answer: the model reads the packed passages, and may cite only those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.records import Citation
from ragstone.runtime.errors import GenerationError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.metrics import LLM_TOKENS
from serving.generation.citations import CheckedText, Claim, Draft, check_markers, cite, passage_text
from serving.generation.prompt import DONT_KNOW, Passage, Prompt
from serving.retrieval.ranking import Idf, rank_sentences
from serving.retrieval.retriever import RetrievedChunk

if TYPE_CHECKING:
    from serving.generation.openai_chat import Completion, OpenAIChat


@dataclass(frozen=True)
class Generator:
    """A model and the prompt it is given."""

    chat: OpenAIChat
    model: str
    prompt: Prompt

    @property
    def prompt_hash(self) -> str:
        """Return the identity of what shapes the answer besides the passages."""
        return generative_hash(self.prompt.prompt_hash, self.model)

    async def generate(
        self,
        question: str,
        hits: Sequence[RetrievedChunk],
        idf: Idf,
        earlier_questions: Sequence[str],
        timeout_s: float,
    ) -> Draft | None:
        """Return the model's answer with its citations, or None when it says that it does not know.

        `idf` gives the weight of a word in the index that was searched; it finds the sentence a citation quotes.
        Markers of passages that were not packed are taken out. Raises GenerationError when the model fails, or when no
        citation is left: an answer that rests on nothing it was shown is none.
        """
        packed = dict(enumerate(hits, 1))
        passages = [Passage(marker, hit.document.title or "", passage_text(hit)) for marker, hit in packed.items()]
        message = self.prompt.filled(question, passages, earlier_questions)
        completion = await self.chat.complete(self.prompt.rules, message, timeout_s)
        self._count(completion)
        if _is_refusal(completion.text):
            return None
        checked = check_markers(completion.text, packed.keys())
        if checked.unknown:
            get_logger(__name__).warning("unknown_citations_removed", markers=checked.unknown, packed=len(packed))
        if not checked.claims:
            raise _uncited(checked, len(packed))
        return Draft(checked.text, _citations(checked.claims, packed, idf))

    def _count(self, completion: Completion) -> None:
        LLM_TOKENS.labels("in", self.model).inc(completion.tokens_in)
        LLM_TOKENS.labels("out", self.model).inc(completion.tokens_out)


def generative_hash(prompt_hash: str, model: str) -> str:
    """Return the identity of what a model is asked with: its prompt, and which model it is."""
    return stable_hash("generative", prompt_hash, model)


def _citations(claims: Sequence[Claim], packed: Mapping[int, RetrievedChunk], idf: Idf) -> tuple[Citation, ...]:
    """Return for each claim the sentence of its passage that is nearest to it, or the whole passage; each span once."""
    found = {}
    for claim in claims:
        hit = packed[claim.marker]
        ranked = rank_sentences(claim.text, [hit], idf)
        start, end = (ranked[0].start, ranked[0].end) if ranked else (0, len(passage_text(hit)))
        found[claim.marker, start, end] = cite(claim.marker, hit, start, end)
    return tuple(found.values())


def _is_refusal(text: str) -> bool:
    return text.replace("\u2019", "'").strip().rstrip(".").casefold() == DONT_KNOW.rstrip(".").casefold()


def _uncited(checked: CheckedText, packed: int) -> GenerationError:
    got = f"citations of {list(checked.unknown)} only" if checked.unknown else "no citation at all"
    return GenerationError(
        "the language model answered without citing what it was shown",
        reason="uncited",
        where="citations",
        got=got,
        wanted=f"citations of the passages 1 to {packed}",
    )
