"""POST /v1/feedback: what whoever was given an answer says of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from serving.feedback import SCORES, Judgement
from serving.routes.requests import ID_PATTERN, check_unicode, principal_of, services_of

router = APIRouter()
_Text = Annotated[str, Field(min_length=1, max_length=10_000)]


class FeedbackRequest(BaseModel):
    """A judgement of one answer; each new one of the same answer takes the place of the last, as a whole."""

    model_config = ConfigDict(extra="forbid", strict=True)

    answer_id: Annotated[str, Field(pattern=ID_PATTERN)]
    thumbs: Literal["up", "down"] | None = None
    chosen_chunk_id: Annotated[
        str | None,
        Field(pattern=ID_PATTERN, description="the chunk, of those shown with the answer, that answers best"),
    ] = None
    corrected_answer: Annotated[_Text | None, Field(description="what the answer should have been")] = None
    comment: _Text | None = None


class FeedbackReceipt(BaseModel):
    """The judgement is recorded."""

    feedback_id: str
    answer_id: str


@router.post("/v1/feedback", operation_id="feedback", status_code=201)
async def feedback(body: FeedbackRequest, request: Request) -> FeedbackReceipt:
    """Judge an answer that was given to the caller: thumbs, the best citation, a corrected answer, a comment."""
    services = services_of(request)
    judgement = _judgement(request, body)
    feedback_id = await services.pool.run(services.feedback.record, judgement, principal_of(request))
    return FeedbackReceipt(feedback_id=feedback_id, answer_id=body.answer_id)


def _judgement(request: Request, body: FeedbackRequest) -> Judgement:
    """Return what was said. Raises BadInputError when it is no Unicode text."""
    said = body.model_dump(exclude={"answer_id"}, exclude_none=True)
    for field, text in said.items():
        check_unicode(request, field, text)
    return Judgement(
        answer_id=body.answer_id,
        score=SCORES[body.thumbs],
        chunk_id=body.chosen_chunk_id,
        corrected_answer=body.corrected_answer,
        comment=body.comment,
    )
