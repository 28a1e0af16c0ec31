"""`ragstone ask`, `search`, `why`, `why-not` and `lineage`: questions, and why they were answered as they were."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, RenderableType

from orchestration.cli.invocation import invocation
from orchestration.cli.moments import MOMENT, moment
from orchestration.cli.output import emit, table
from ragstone.contracts.names import PUBLIC_GROUP
from ragstone.contracts.records import Principal
from ragstone.runtime.errors import UsageError

if TYPE_CHECKING:
    from ragstone.runtime.settings import Settings
    from serving.answering import Answer
    from serving.past.answering import PastAnswer, PastQuestion
    from serving.retrieval.results import Retrieval
    from serving.services import Services

app = typer.Typer()

QuestionText = Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask.")]
Groups = Annotated[
    list[str] | None, typer.Option("--group", help="Ask as a member of this group too, besides public. Repeatable.")
]
Hits = Annotated[int | None, typer.Option("-k", help="How many hits; serving.top_k by default.", min=1, max=50)]
Past = Annotated[
    datetime | None,
    typer.Option("--as-of", parser=moment, metavar=MOMENT, help="Ask the corpus, access lists and prompt of then."),
]
# Answers asked for here belong to this name: lineage is shown to whom an answer was given.
_COMMAND_LINE = "command-line"
# Whoever asks a past day here waits until its corpus has been read.
_PAST_DEADLINE_MS = 3_600_000


@app.command()
def ask(context: typer.Context, question: QuestionText, group: Groups = None, as_of: Past = None) -> None:
    """Ask a question and print the answer with its citations."""
    options = invocation(context)
    if as_of is not None:
        past = _past_answer(options.settings(), question, group or (), as_of)
        emit(options, past, lambda screen: _show_past(screen, past))
        return
    answer = answer_in_process(options.settings(), question, group or ())
    emit(options, answer, lambda screen: show_answer(screen, answer))


@app.command()
def search(
    context: typer.Context, question: QuestionText, group: Groups = None, k: Hits = None, as_of: Past = None
) -> None:
    """Print the passages nearest to a question among those that may be read."""
    options = invocation(context)
    retrieval = _retrieved(options.settings(), question, group or (), k, as_of)
    emit(options, retrieval, lambda screen: screen.print(_hit_table(retrieval)))


@app.command()
def why(context: typer.Context, question: QuestionText, group: Groups = None, k: Hits = None) -> None:
    """Print hits, scores, what the gate dropped and why, the decision to answer, and timings."""
    options = invocation(context)
    retrieval = _retrieved(options.settings(), question, group or (), k)
    emit(options, retrieval, lambda screen: _show_reasons(screen, retrieval))


@app.command("why-not")
def why_not(
    context: typer.Context,
    document: Annotated[str, typer.Argument(help="A document_id, a source_uri, a path, or the end of a source_uri.")],
    question: QuestionText,
    group: Groups = None,
    k: Hits = None,
) -> None:
    """Say where a document stopped on its way into the answer to a question."""
    from orchestration.why_not import diagnose

    options = invocation(context)
    settings = options.settings()
    text = checked(settings, question)
    diagnosis = diagnose(settings, document, text, asker(group or ()), k or settings.serving.top_k)

    def show(screen: Console) -> None:
        rows = [(stage.name, stage.outcome, stage.found) for stage in diagnosis.stages]
        screen.print(table(f"{document} on its way to the answer", ("stage", "outcome", "found"), rows))
        screen.print(diagnosis.verdict, soft_wrap=True, style="bold")
        if diagnosis.next_step:
            screen.print(f"next: {diagnosis.next_step}", soft_wrap=True)

    emit(options, diagnosis, show)


@app.command()
def lineage(
    context: typer.Context, answer_id: Annotated[str, typer.Argument(help="The answer_id that `ragstone ask` printed.")]
) -> None:
    """Trace an answer asked for here: sentence, chunk, document, landed bytes, source, runs, rules."""
    options = invocation(context)
    with opened(options.settings()) as services:
        traced = services.lineage.read(answer_id, asker(()))

    def show(screen: Console) -> None:
        for item in traced.evidence:
            screen.print(table(f"“{item.citation.quote}”", ("link", "what it is"), _links(item)))
        rules = [(row["dataset"], row["rule"], row["outcome"]) for row in traced.quality]
        screen.print(table("Rules its rows passed", ("dataset", "rule", "outcome"), rules))

    emit(options, traced, show)


def asker(groups: Sequence[str]) -> Principal:
    """Return who asks on the command line: whoever can read the home may ask as any group."""
    return Principal(_COMMAND_LINE, frozenset({PUBLIC_GROUP, *groups}))


def answer_in_process(settings: Settings, question: str, groups: Sequence[str]) -> Answer:
    """Return the answer to a question, without a served process. Raises what the service would answer with."""
    from serving.answering import Question
    from serving.deadline import Deadline
    from serving.services import open_services

    text = checked(settings, question)

    async def answered() -> Answer:
        services = open_services(settings)
        try:
            deadline = Deadline.after_ms(settings.serving.deadline_ms)
            return await services.answerer.answer(Question(text, asker(groups), None, deadline))
        finally:
            await services.close()

    return asyncio.run(answered())


def show_answer(screen: Console, answer: Answer) -> None:
    """Print an answer with its citations."""
    _show_text(screen, answer)
    screen.print(f"answer {answer.answer_id} · {answer.timings_ms['total']:.0f} ms · index {answer.index_version}")


def _show_past(screen: Console, answer: PastAnswer) -> None:
    _show_text(screen, answer)
    screen.print(f"as of {answer.as_of.isoformat()} · index {answer.index_version}")


def _show_text(screen: Console, answer: Answer | PastAnswer) -> None:
    screen.print(answer.answer, soft_wrap=True, style="bold")
    if answer.citations:
        rows = [
            (item.marker, item.title, item.source_uri, f"{item.char_start}-{item.char_end}")
            for item in answer.citations
        ]
        screen.print(table(None, ("", "title", "source", "characters"), rows))


def checked(settings: Settings, question: str) -> str:
    """Return a question that may be asked. Raises UsageError when it is empty or longer than the settings allow."""
    most = settings.serving.max_question_chars
    if not question.strip() or len(question) > most:
        raise UsageError(
            "the question cannot be asked",
            where="QUESTION",
            got=f"{len(question):,} characters" if question.strip() else "nothing",
            wanted=f"1 to {most:,} characters (serving.max_question_chars)",
        )
    return question.strip()


@contextmanager
def opened(settings: Settings) -> Iterator[Services]:
    """Load what the service loads, for as long as the context lasts."""
    from serving.services import open_services

    services = open_services(settings)
    try:
        yield services
    finally:
        asyncio.run(services.close())


def _past_answer(settings: Settings, question: str, groups: Sequence[str], as_of: datetime) -> PastAnswer:
    from serving.services import past_answerer

    asked = _past_question(settings, question, groups, as_of)

    async def answered() -> PastAnswer:
        async with past_answerer(settings) as answerer:
            return await answerer.answer(asked)

    return asyncio.run(answered())


def _past_retrieved(settings: Settings, asked: PastQuestion, k: int) -> Retrieval:
    from serving.services import past_answerer

    async def retrieved() -> Retrieval:
        async with past_answerer(settings) as answerer:
            return answerer.retrieve(asked, k)

    return asyncio.run(retrieved())


def _past_question(settings: Settings, question: str, groups: Sequence[str], as_of: datetime) -> PastQuestion:
    from serving.deadline import Deadline
    from serving.past.answering import PastQuestion

    deadline = Deadline.after_ms(_PAST_DEADLINE_MS)
    return PastQuestion(checked(settings, question), asker(groups), as_of, deadline)


def _retrieved(
    settings: Settings, question: str, groups: Sequence[str], k: int | None, as_of: datetime | None = None
) -> Retrieval:
    if as_of is not None:
        asked = _past_question(settings, question, groups, as_of)
        return _past_retrieved(settings, asked, k or settings.serving.top_k)
    text = checked(settings, question)
    with opened(settings) as services:
        return services.retriever.retrieve(text, asker(groups), k or settings.serving.top_k)


def _hit_table(retrieval: Retrieval) -> RenderableType:
    rows = [
        (hit.rank, f"{hit.score:.3f}", hit.document.source_uri, hit.chunk.heading_path, (hit.chunk.text or "")[:200])
        for hit in retrieval.hits
    ]
    return table("Hits", ("rank", "score", "source", "heading", "text"), rows)


def _show_reasons(screen: Console, retrieval: Retrieval) -> None:
    screen.print(_hit_table(retrieval))
    drops = [(drop.chunk_id, drop.document_id, f"{drop.score:.3f}", drop.reason.value) for drop in retrieval.drops]
    title = "Dropped by the gate" if drops else "The gate dropped nothing"
    screen.print(table(title, ("chunk", "document", "score", "reason"), drops) if drops else title)
    decision = retrieval.abstain
    features = [(name, f"{value:.3f}") for name, value in decision.features.items()]
    verdict = "answer" if decision.answerable else "abstain"
    title = f"Decision: {verdict} (probability {decision.probability:.3f}, threshold {decision.threshold:.3f})"
    screen.print(table(title, ("feature", "value"), features))
    timings = [(stage, f"{spent:.2f}") for stage, spent in retrieval.timings_ms.items()]
    screen.print(table(f"Index {retrieval.index_version}", ("stage", "ms"), timings))


def _links(item: Any) -> list[tuple[object, ...]]:
    links = {"chunk": item.chunk, "silver document": item.document, "bronze version": item.bronze}
    rows: list[tuple[object, ...]] = [
        (name, "gone" if row is None else ", ".join(f"{key}={value}" for key, value in row.items()))
        for name, row in links.items()
    ]
    return [*rows, ("quote stands in the silver text", "yes" if item.quote_matches else "no")]
