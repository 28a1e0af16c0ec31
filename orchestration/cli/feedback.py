"""`ragstone feedback`: judge an answer that was asked for on the command line."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from orchestration.cli.ask import asker
from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit

app = typer.Typer()


class Thumbs(StrEnum):
    """Whether an answer is good."""

    UP = "up"
    DOWN = "down"


@app.command()
def feedback(
    context: typer.Context,
    answer_id: Annotated[str, typer.Argument(help="The answer_id that `ragstone ask` printed.")],
    thumbs: Annotated[Thumbs | None, typer.Option(help="Whether the answer is good.")] = None,
    choose: Annotated[str | None, typer.Option(help="The chunk_id, of those shown, that answers best.")] = None,
    correct: Annotated[str | None, typer.Option(help="What the answer should have been.")] = None,
    comment: Annotated[str | None, typer.Option(help="What else there is to say.")] = None,
) -> None:
    """Judge an answer; `ragstone events drain` makes it data."""
    from ragstone.runtime.redis_server import online_client
    from serving.events import RetrievalLog
    from serving.feedback import SCORES, FeedbackLog, Judgement

    options = invocation(context)
    settings = options.settings()
    judgement = Judgement(answer_id, SCORES[thumbs], choose, correct, comment)
    with online_client(settings) as client:
        answers = RetrievalLog(client, ttl_s=settings.serving.answer_ttl_s)
        feedback_id = FeedbackLog(client, answers).record(judgement, asker(()))
    document = {"feedback_id": feedback_id, "answer_id": answer_id}
    emit(options, document, lambda screen: screen.print(f"recorded as {feedback_id}"))
