"""Act 4: one document is edited, one deleted; the deleted text is not answered from at the very next question."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestration.demo.act1_pipeline import run_pipeline, steps_panel
from orchestration.demo.choice import Chosen, choose
from orchestration.demo.service import Service
from orchestration.demo.stage import Act, Panel, Stage, check, shortened
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.lake.read import query, state
from ragstone.runtime.settings import Settings
from serving.index.snapshot import open_current

_SESSION = "demo-act-4"


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
    edited, deleted = choose(stage)
    before = datetime.now(UTC)
    asked = [_answered_from(service, deleted), _deleted(service, deleted)]
    known = _known_texts(stage.settings)
    addition = _edit(stage, edited)
    outcomes = run_pipeline(stage)
    new_texts = _living_texts(stage.settings) - known
    encoded = next(outcome.result for outcome in outcomes if outcome.result.step == "embed").details["encoded"]
    check(encoded == len(new_texts), "not exactly the changed texts were embedded", got=encoded, wanted=len(new_texts))
    check(len(new_texts) > 0, "the edit gave no new text", got=0, wanted="at least 1")
    service.wait_for_index(_current_version(stage.settings))
    answer = _answered_from_edit(service, edited, addition)
    asked += [("after the next run", deleted.question, *_not_answered_from(service, deleted))]
    asked += [("after the next run", addition.question, *_said(answer))]
    living = len(_living_texts(stage.settings))
    panels = (
        Panel("Questions around the delete and the edit", ("when", "question", "answer", "cited"), asked),
        steps_panel(outcomes),
        Panel("Embedded", ("distinct texts living", "of them new", "encoded"), [(living, len(new_texts), encoded)]),
    )
    said = (
        f"{deleted.document.source_uri} was answered from, was deleted over HTTP, and was not answered from at "
        "the very next question, nor after the next run, though its file is still there",
        f"{edited.document.source_uri} was edited: {encoded} of {living} texts were embedded, the changed ones",
    )
    changes = Changes(edited, deleted, before, datetime.now(UTC), answer)
    return Act(4, "One document edited, one deleted", panels, said, time.perf_counter() - began), changes


@dataclass(frozen=True)
class Addition:
    """A sentence put into a document, and a question only it answers."""

    sentence: str
    question: str


def _edit(stage: Stage, chosen: Chosen) -> Addition:
    """Put a sentence in front of the chosen one, in the source file itself."""
    path = stage.corpus / chosen.document.source_uri
    name = path.stem
    addition = Addition(
        f"The page on {name} was revised by Ottoline Quarles of Harbour Street.",
        f"Who revised the page on {name}?",
    )
    text = path.read_text("utf-8")
    first_line = chosen.sentence.splitlines()[0]
    position = text.index(first_line)
    path.write_text(f"{text[:position]}{addition.sentence} {text[position:]}", "utf-8")
    return addition


def _answered_from(service: Service, chosen: Chosen) -> tuple[str, ...]:
    answer = service.ask(chosen.question, _SESSION)
    quotes = [item["quote"] for item in answer["citations"] if item["document_id"] == chosen.document.document_id]
    check(
        any(chosen.sentence in quote or quote in chosen.sentence for quote in quotes),
        "a document that is to be deleted was not answered from before",
        where=chosen.question,
        got=f"{shortened(answer['answer'])} (cited: {_cited(answer)})",
        wanted=f"{chosen.document.source_uri}: {chosen.sentence}",
    )
    return ("just before the delete", chosen.question, *_said(answer))


def _deleted(service: Service, chosen: Chosen) -> tuple[str, ...]:
    service.delete_document(chosen.document.document_id)
    return ("the very next question", chosen.question, *_not_answered_from(service, chosen))


def _not_answered_from(service: Service, chosen: Chosen) -> tuple[str, str]:
    answer = service.ask(chosen.question, _SESSION)
    documents = {citation["document_id"] for citation in answer["citations"]}
    said = " ".join(answer["answer"].split())
    check(
        chosen.document.document_id not in documents and " ".join(chosen.sentence.split()) not in said,
        "a deleted document was answered from",
        where=chosen.question,
        got=answer["answer"],
        wanted=f"nothing from {chosen.document.source_uri}",
    )
    return _said(answer)


def _answered_from_edit(service: Service, chosen: Chosen, addition: Addition) -> dict[str, Any]:
    answer = service.ask(addition.question, _SESSION)
    documents = {citation["document_id"] for citation in answer["citations"]}
    check(
        chosen.document.document_id in documents and addition.sentence in " ".join(answer["answer"].split()),
        "the edited text is not answered from",
        where=addition.question,
        got=f"{shortened(answer['answer'])} (cited: {_cited(answer)})",
        wanted=addition.sentence,
    )
    return answer


def _said(answer: dict[str, Any]) -> tuple[str, str]:
    return shortened(answer["answer"], 140), _cited(answer)


def _cited(answer: dict[str, Any]) -> str:
    return ", ".join(dict.fromkeys(citation["source_uri"] for citation in answer["citations"]))


def _known_texts(settings: Settings) -> set[str]:
    """Return the identity of every text the lake ever had a chunk of."""
    rows = query(settings.lake_root, "SELECT DISTINCT text_hash FROM chunks", chunks=SILVER_CHUNKS)
    return set(rows["text_hash"].to_pylist())


def _living_texts(settings: Settings) -> set[str]:
    return set(state(settings.lake_root, SILVER_CHUNKS, columns=("text_hash",))["text_hash"].to_pylist())


def _current_version(settings: Settings) -> str:
    return open_current(settings).manifest.version
