"""POST /chat: a question in, an answer with citations out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from ragstone.runtime.errors import BadInputError
from serving.answering import Answer, Question
from serving.auth import require_admin
from serving.past.answering import PastAnswer, PastQuestion
from serving.routes.requests import checked_question, deadline_of, principal_of, services_of

router = APIRouter()


class ChatRequest(BaseModel):
    """One message of a conversation. Who asks is told by the API key, never by the body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: Annotated[str, Field(description="the text of the message: a question")]
    session_id: Annotated[
        str | None,
        Field(
            pattern=r"^[A-Za-z0-9_.:-]{1,64}$",
            description="the conversation to go on with; without it a new one begins, under an id nobody can guess",
        ),
    ] = None
    as_of: Annotated[
        AwareDatetime | None,
        Field(
            strict=False,
            description="a past moment with its time zone, to be answered from the corpus, the access lists and the "
            "prompt of that day, outside any conversation; needs the group admin",
        ),
    ] = None


@router.post("/chat", operation_id="chat")
async def chat(body: ChatRequest, request: Request) -> Answer | PastAnswer:
    """Answer a question from the documents that the caller may read, with citations, or say that nothing answers it."""
    services, principal = services_of(request), principal_of(request)
    text, deadline = checked_question(request, "user", body.user), deadline_of(request)
    if body.as_of is None:
        return await services.answerer.answer(Question(text, principal, body.session_id, deadline))
    require_admin(principal, "POST /chat with as_of")
    if body.session_id is not None:
        raise BadInputError(
            "a past day is asked outside any conversation",
            where="POST /chat, body",
            got="as_of and session_id",
            wanted="one of them",
        )
    return await services.past.answer(PastQuestion(text, principal, body.as_of, deadline))
