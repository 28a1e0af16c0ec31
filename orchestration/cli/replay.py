"""`ragstone replay` and `backtest`: logged questions asked again, as they were served and under other settings."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.moments import MOMENT, moment
from orchestration.cli.output import emit, table
from orchestration.cli.progress import counted

if TYPE_CHECKING:
    from ragstone.runtime.settings import Settings
    from serving.past.asked import AskedQuestion
    from serving.past.backtest import Compared, Summary
    from serving.past.replay import Replayed

app = typer.Typer()

From = Annotated[
    datetime | None, typer.Option("--from", parser=moment, metavar=MOMENT, help="Questions asked from then on.")
]
To = Annotated[
    datetime | None, typer.Option("--to", parser=moment, metavar=MOMENT, help="Questions asked before; now by default.")
]
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@app.command()
def replay(context: typer.Context, begin: From = None, end: To = None) -> None:
    """Ask logged questions again on the state they were served from; exit code 1 when one differs without a reason."""
    from ragstone.runtime.errors import EXIT_FAILED
    from serving.past.logged import logged_questions
    from serving.past.replay import replay as ask_again

    options = invocation(context)
    settings = options.settings()
    logged = logged_questions(settings.lake_root, begin or _FIRST, end or datetime.now(UTC))
    came = sorted(counted(ask_again(settings, logged), len(logged), "replaying"), key=lambda one: one.asked_at)
    document = {
        "questions": len(came),
        "identical": sum(one.identical for one in came),
        "explained": sum(one.explained and not one.identical for one in came),
        "unexplained": sum(not one.explained for one in came),
        "differing": [one for one in came if not one.identical],
    }
    emit(options, document, lambda screen: _show_replay(screen, came))
    if document["unexplained"]:
        raise typer.Exit(EXIT_FAILED)


@app.command()
def backtest(
    context: typer.Context,
    begin: From = None,
    end: To = None,
    questions: Annotated[
        Path | None, typer.Option(help="Ask these instead of logged ones: a JSON object with `question` on each line.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Another prompt of conf/prompts; needs a language model.")] = None,
    space: Annotated[str | None, typer.Option(help="Another embedding space, and so its encoder.")] = None,
    k: Annotated[int | None, typer.Option("-k", help="Another number of hits.", min=1, max=50)] = None,
) -> None:
    """Ask questions under other settings, each on the corpus of its own day, and compare."""
    from serving.past.backtest import summary

    options = invocation(context)
    settings = options.settings()
    asked = _asked(settings, questions, begin or _FIRST, end or datetime.now(UTC))
    compared = asyncio.run(_compared(settings, asked, prompt, space, k))
    total = summary(compared)
    document = {"summary": total, "changed": [one for one in compared if one.answer_changed or one.hits_changed]}
    emit(options, document, lambda screen: _show_backtest(screen, total, compared))


def _asked(settings: Settings, questions: Path | None, begin: datetime, end: datetime) -> list[AskedQuestion]:
    from serving.past.asked import asked_as_logged, asked_in_file
    from serving.past.logged import logged_questions

    if questions is not None:
        return asked_in_file(questions)
    return asked_as_logged(settings.lake_root, logged_questions(settings.lake_root, begin, end))


async def _compared(
    settings: Settings, asked: Sequence[AskedQuestion], prompt: str | None, space: str | None, k: int | None
) -> list[Compared]:
    from serving.past.backtest import backtest as compare
    from serving.past.ways import ways

    async with ways(settings, prompt=prompt, space=space, k=k) as (before, after):
        return [one async for one in compare(asked, before, after)]


def _show_replay(screen: Console, came: Sequence[Replayed]) -> None:
    reasons = Counter(reason for one in came for reason in {difference.reason for difference in one.differences})
    outcomes = [
        ("identical", sum(one.identical for one in came)),
        *((f"differs: {reason.value}", count) for reason, count in reasons.most_common()),
        ("differs without a reason", sum(not one.explained for one in came)),
    ]
    rows = [
        (f"{one.asked_at:%F %T}", one.question[:80], reason, detail)
        for one in came
        if not one.identical
        for reason, detail in _told(one)
    ]
    if rows:
        screen.print(table("Questions that differ", ("asked", "question", "reason", "what"), rows))
    screen.print(table(f"{len(came):,} questions replayed", ("outcome", "count"), outcomes))


def _told(one: Replayed) -> Iterable[tuple[str, str]]:
    found = [
        (difference.reason.value, f"{difference.chunk_id or ''} {difference.detail}") for difference in one.differences
    ]
    return found or [("none", f"answer {one.answer_id}")]


def _show_backtest(screen: Console, total: Summary, compared: Sequence[Compared]) -> None:
    changed = [
        (f"{one.asked_at:%F %T}", one.question[:60], one.before.answer[:120], one.after.answer[:120])
        for one in compared
        if one.answer_changed
    ]
    if changed:
        screen.print(table("Answers that change", ("asked", "question", "before", "after"), changed))
    before, after = zip(total.recall or (None, None), total.latency_ms, strict=True)
    measures = ("recall of judged chunks", "median ms, without the gate")
    screen.print(table(None, ("measure", "before", "after"), list(zip(measures, before, after, strict=True))))
    counts = asdict(total)
    shown = [
        (name.replace("_", " "), counts[name]) for name in ("questions", "answers_changed", "hits_changed", "judged")
    ]
    screen.print(table(None, ("", "count"), shown))
    screen.print(_chart(compared))


def _chart(compared: Sequence[Compared]) -> str:
    """Return bars, one per day: the share of answers that change."""
    import plotext

    asked, changed = Counter[str](), Counter[str]()
    for one in compared:
        asked[f"{one.asked_at:%F}"] += 1
        changed[f"{one.asked_at:%F}"] += one.answer_changed
    days = sorted(asked)
    figure = plotext.figure.clear()
    figure.plot_size(100, 16)
    figure.title("answers that change, percent of each day's questions")
    figure.draw(figure.bar(days, [100 * changed[day] / asked[day] for day in days]))
    return str(figure.build().string(colorless=True))
