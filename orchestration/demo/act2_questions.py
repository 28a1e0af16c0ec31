"""Act 2: five questions answered over HTTP with citations that open, and one that is rightly not answered."""

from __future__ import annotations

import time
from typing import Any

from orchestration.demo.questions import ANSWERABLE, UNANSWERABLE, Question
from orchestration.demo.service import Service
from orchestration.demo.stage import Act, Panel, check, shortened

_SESSION = "demo-act-2"


def play(service: Service) -> Act:
    """Ask the questions. Raises DemoError unless each is answered from the document it names."""
    began = time.perf_counter()
    rows = [_row(question.text, _answered(service, question)) for question in ANSWERABLE]
    rows.append(_row(UNANSWERABLE, _refused(service)))
    panel = Panel("Questions over HTTP", ("question", "answer", "cited", "opens", "ms"), rows)
    said = (
        f"{len(ANSWERABLE)} answers came from the document they had to come from, and every citation's URL opened "
        "on a passage that holds the quote",
        "the last question shares its words with the corpus and was not answered",
    )
    return Act(2, "Questions and citations", (panel,), said, time.perf_counter() - began)


def check_opens(passage: dict[str, Any], citation: dict[str, Any]) -> None:
    """Raise DemoError unless the passage that a citation's URL opens on holds the quote, at its offsets."""
    start = citation["char_start"] - passage["char_start"]
    check(
        passage["text"][start : start + len(citation["quote"])] == citation["quote"],
        "a citation does not open on its quote",
        where=citation["url"],
        got=shortened(passage["text"]),
        wanted=citation["quote"],
    )


def check_answered(question: Question, answer: dict[str, Any]) -> None:
    """Raise DemoError unless the answer comes from the document it has to come from and says what it has to say."""
    cited = [citation["source_uri"] for citation in answer["citations"]]
    check(
        question.source in cited,
        "an answer does not come from the document that it had to come from",
        where=question.text,
        got=f"{shortened(answer['answer'])} (cited: {', '.join(cited) or 'nothing'})",
        wanted=question.source,
    )
    check(
        question.says in " ".join(answer["answer"].split()),
        "an answer does not say what it had to say",
        where=question.text,
        got=answer["answer"],
        wanted=question.says,
    )


def check_refused(answer: dict[str, Any]) -> None:
    """Raise DemoError unless the answer is that there is none."""
    check(
        answer["abstained"] and not answer["citations"],
        "a question without an answer was answered",
        where=UNANSWERABLE,
        got=answer["answer"],
        wanted="I don't know.",
    )


def _answered(service: Service, question: Question) -> dict[str, Any]:
    answer = service.ask(question.text, _SESSION)
    check_answered(question, answer)
    for citation in answer["citations"]:
        check_opens(service.open(citation["url"]), citation)
    return answer


def _refused(service: Service) -> dict[str, Any]:
    answer = service.ask(UNANSWERABLE, _SESSION)
    check_refused(answer)
    return answer


def _row(question: str, answer: dict[str, Any]) -> tuple[object, ...]:
    cited = ", ".join(dict.fromkeys(citation["source_uri"] for citation in answer["citations"]))
    count = len(answer["citations"])
    opens = f"{count} of {count}" if count else ""
    return (question, shortened(answer["answer"], 140), cited, opens, float(answer["timings_ms"]["total"]))
