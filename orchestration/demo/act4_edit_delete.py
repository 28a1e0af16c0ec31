"""Act 4: one document is edited, one deleted; the deleted text is not answered from at the very next question."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestration.demo.act1_pipeline import run_pipeline, steps_panel
from orchestration.demo.choice import Chosen, choose, one_line
from orchestration.demo.service import Service
from orchestration.demo.stage import Act, Panel, Stage, check, shortened
from orchestration.runner import StepOutcome
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.lake.read import query, state
from ragstone.runtime.settings import Settings
from serving.index.snapshot import open_current

_SESSION = "demo-act-4"
_ADDITION = ", as Ottoline Quarles of Harbour Street has shown"


@dataclass(frozen=True)
class Changes:
    """What the act did, for the acts that follow. Times lie before the edit and after it was indexed."""

    edited: Chosen
    deleted: Chosen
    before: datetime
    after: datetime
    answer: dict[str, Any]


def play(stage: Stage, service: Service) -> tuple[Act, Changes]:
    """Delete, ask, edit, run, ask again. Raises DemoError when a deleted text is answered from."""
    began = time.perf_counter()
    edited, deleted = choose(stage, lambda chosen: quotes(service.ask(chosen.question, _SESSION), chosen))
    before = datetime.now(UTC)
    asked = _delete(service, deleted)
    known = _known_texts(stage.settings)
    revised = _edit(stage, edited)
    outcomes = run_pipeline(stage)
    embedded = _check_embedded(stage.settings, edited, known, outcomes)
    service.wait_for_index(open_current(stage.settings).manifest.version)
    again, answer = service.ask(deleted.question, _SESSION), service.ask(revised.question, _SESSION)
    check_not_answered_from(again, deleted)
    check_answered_from_edit(answer, revised)
    asked += [_row("after the next run", deleted.question, again), _row("of the edit", revised.question, answer)]
    panels = (
        Panel("Questions around the delete and the edit", ("when", "question", "answer", "cited"), asked),
        steps_panel(outcomes),
        Panel("Texts", ("living", "chunks of the edited document", "new", "encoded"), [embedded]),
    )
    said = (
        f"{deleted.document.source_uri} was answered from, was deleted over HTTP, and was not answered from at the "
        "very next question, nor after the next run, though its file is still there",
        f"{edited.document.source_uri} was edited: {embedded[3]} of {embedded[0]} texts were encoded, the changed ones",
    )
    changes = Changes(edited, deleted, before, datetime.now(UTC), answer)
    return Act(4, "One document edited, one deleted", panels, said, time.perf_counter() - began), changes


def _delete(service: Service, chosen: Chosen) -> list[tuple[str, ...]]:
    before = service.ask(chosen.question, _SESSION)
    check_answered_from(before, chosen)
    service.delete_document(chosen.document.document_id)
    after = service.ask(chosen.question, _SESSION)
    check_not_answered_from(after, chosen)
    return [
        _row("just before the delete", chosen.question, before),
        _row("the very next question", chosen.question, after),
    ]


def _check_embedded(
    settings: Settings, edited: Chosen, known: set[str], outcomes: list[StepOutcome]
) -> tuple[int, int, int, int]:
    """Return how many texts live, how many chunks the edited document has, how many texts are new, and were encoded.

    Raises DemoError unless exactly the new ones were encoded.
    """
    living = state(settings.lake_root, SILVER_CHUNKS, columns=("document_id", "text_hash")).to_pylist()
    texts = {row["text_hash"] for row in living}
    own = sum(row["document_id"] == edited.document.document_id for row in living)
    new = len(texts - known)
    encoded = next(outcome.result for outcome in outcomes if outcome.result.step == "embed").details["texts_encoded"]
    check(encoded == new, "not exactly the changed texts were encoded", got=encoded, wanted=new)
    check(0 < new <= own, "the edit did not give new texts to its document alone", got=new, wanted=f"1 to {own}")
    return len(texts), own, new, new


def _edit(stage: Stage, chosen: Chosen) -> Chosen:
    """Go on with the chosen sentence in the source file itself; return the document's new sentence."""
    path = stage.corpus / chosen.document.source_uri
    text = path.read_text("utf-8")
    found = chosen.place_in(text)
    check(found is not None, "the sentence is not in the file", where=str(path), got="no match", wanted=chosen.sentence)
    assert found is not None
    end = found.end() - len(".")
    path.write_text(f"{text[:end]}{_ADDITION}{text[end:]}", "utf-8")
    return Chosen(chosen.document, f"{chosen.sentence.removesuffix('.')}{_ADDITION}.")


def quotes(answer: dict[str, Any], chosen: Chosen) -> bool:
    """Return whether the answer quotes the chosen sentence from the chosen document."""
    own = [item["quote"] for item in answer["citations"] if item["document_id"] == chosen.document.document_id]
    return any(chosen.sentence in quote or quote in chosen.sentence for quote in own)


def check_answered_from(answer: dict[str, Any], chosen: Chosen) -> None:
    """Raise DemoError unless the answer quotes the chosen sentence from the chosen document."""
    check(
        quotes(answer, chosen),
        "a document that is to be deleted was not answered from before",
        where=chosen.question,
        got=f"{shortened(answer['answer'])} (cited: {_cited(answer)})",
        wanted=f"{chosen.document.source_uri}: {chosen.sentence}",
    )


def check_not_answered_from(answer: dict[str, Any], chosen: Chosen) -> None:
    """Raise DemoError when the answer cites the chosen document or says the sentence that it alone contained."""
    documents = {citation["document_id"] for citation in answer["citations"]}
    check(
        chosen.document.document_id not in documents and one_line(chosen.sentence) not in one_line(answer["answer"]),
        "a deleted document was answered from",
        where=chosen.question,
        got=answer["answer"],
        wanted=f"nothing from {chosen.document.source_uri}",
    )


def check_answered_from_edit(answer: dict[str, Any], revised: Chosen) -> None:
    """Raise DemoError unless the answer says, from the chosen document, the sentence as it is after the edit."""
    documents = {citation["document_id"] for citation in answer["citations"]}
    check(
        revised.document.document_id in documents and one_line(revised.sentence) in one_line(answer["answer"]),
        "the edited text is not answered from",
        where=revised.question,
        got=f"{shortened(answer['answer'])} (cited: {_cited(answer)})",
        wanted=f"{revised.document.source_uri}: {revised.sentence}",
    )


def _row(when: str, question: str, answer: dict[str, Any]) -> tuple[str, ...]:
    return (when, shortened(question), shortened(answer["answer"], 140), _cited(answer))


def _cited(answer: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys(citation["source_uri"] for citation in answer["citations"]))


def _known_texts(settings: Settings) -> set[str]:
    """Return the identity of every text the lake ever had a chunk of."""
    rows = query(settings.lake_root, "SELECT DISTINCT text_hash FROM chunks", chunks=SILVER_CHUNKS)
    return set(rows["text_hash"].to_pylist())
