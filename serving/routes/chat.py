"""POST /chat: a question in, an answer with citations out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from serving.answering import Answer, Question
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


@router.post("/chat", operation_id="chat")
async def chat(body: ChatRequest, request: Request) -> Answer:
    """Answer a question from the documents that the caller may read, with citations, or say that nothing answers it."""
    question = Question(
        text=checked_question(request, "user", body.user),
        principal=principal_of(request),
        session_id=body.session_id,
        deadline=deadline_of(request),
    )
    return await services_of(request).answerer.answer(question)
