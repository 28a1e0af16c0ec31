"""What every route asks of its request: the services, who asks, how long there is, the shapes of ids."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Path, Request

from ragstone.contracts.records import Principal
from ragstone.runtime.errors import BadInputError, TooLargeError
from serving.deadline import Deadline
from serving.errors import shown
from serving.services import Services

ID_PATTERN: Final = r"^[0-9a-f]{32}$"
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")

ChunkId = Annotated[str, Path(pattern=ID_PATTERN, description="32 hexadecimal characters")]
DocumentId = Annotated[str, Path(pattern=ID_PATTERN, description="32 hexadecimal characters")]
AnswerId = Annotated[str, Path(pattern=ID_PATTERN, description="32 hexadecimal characters")]


def services_of(request: Request) -> Services:
    """Return what the lifespan loaded."""
    services: Services = request.app.state.services
    return services


def principal_of(request: Request) -> Principal:
    """Return who asks. Raises UnauthenticatedError."""
    return services_of(request).keys.principal(request.headers)


def deadline_of(request: Request) -> Deadline:
    """Return until when the request must be answered."""
    deadline: Deadline = request.scope["state"]["deadline"]
    return deadline


def checked_question(request: Request, field: str, question: str) -> str:
    """Return the question without surrounding space.

    Raises BadInputError when nothing is left or it is no Unicode text, and TooLargeError when it is longer than the
    settings allow.
    """
    most = services_of(request).settings.serving.max_question_chars
    stripped = question.strip()
    if len(question) > most:
        raise TooLargeError(
            "the question is too long",
            where=_place(request, field),
            got=f"{len(question):,} characters",
            wanted=f"at most {most:,} characters",
            next_step="ask more briefly, or raise serving.max_question_chars",
        )
    if not stripped:
        raise BadInputError(
            "the question is empty", where=_place(request, field), got=shown(question), wanted="a question"
        )
    check_unicode(request, field, stripped)
    return stripped


def check_unicode(request: Request, field: str, text: str) -> None:
    """Raise BadInputError for a text with half of a surrogate pair, which no store takes."""
    if _SURROGATE.search(text):
        raise BadInputError(
            f"the {field} is not Unicode text",
            where=_place(request, field),
            got=f"half of a surrogate pair in {shown(text)}",
            wanted="whole characters",
        )


def _place(request: Request, field: str) -> str:
    return f"{request.method} {request.url.path}, body.{field}"
