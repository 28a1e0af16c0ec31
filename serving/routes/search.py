"""POST /v1/search: the retrieval alone, callable as a tool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from serving.passages import Passage, passage
from serving.retrieval.retriever import Retrieval
from serving.routes.requests import checked_question, deadline_of, principal_of, services_of

router = APIRouter()


class SearchRequest(BaseModel):
    """A query, and how many hits to return at most (`serving.top_k` when left out)."""

    model_config = ConfigDict(extra="forbid", strict=True)

    query: str
    k: Annotated[int | None, Field(ge=1, le=50)] = None


class SearchHit(BaseModel):
    """One passage that passed the gate. Scores are cosines: higher is better."""

    rank: int
    score: float
    passage: Passage


class SearchResult(BaseModel):
    """The hits, best first. `answerable` is what the abstain model says of them."""

    hits: list[SearchHit]
    answerable: bool
    dropped: Annotated[int, Field(description="hits that the gate dropped on the way")]
    index_version: str
    timings_ms: Mapping[str, float]


@router.post("/v1/search", operation_id="search")
async def search(body: SearchRequest, request: Request) -> SearchResult:
    """Return the passages nearest to a query among those the caller may read."""
    services = services_of(request)
    query = checked_question(request, "query", body.query)
    principal, left_ms = principal_of(request), deadline_of(request).remaining_ms("POST /v1/search")
    k = body.k or services.settings.serving.top_k
    return _result(await services.pool.run(services.retriever.retrieve, query, principal, k, left_ms))


def _result(retrieval: Retrieval) -> SearchResult:
    return SearchResult(
        hits=[
            SearchHit(rank=hit.rank, score=hit.score, passage=passage(hit.chunk, hit.document))
            for hit in retrieval.hits
        ],
        answerable=retrieval.abstain.answerable,
        dropped=len(retrieval.drops),
        index_version=retrieval.index_version,
        timings_ms=retrieval.timings_ms,
    )
