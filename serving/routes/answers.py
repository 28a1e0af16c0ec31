"""GET /v1/answers/{id}/lineage: where an answer comes from."""

from __future__ import annotations

from fastapi import APIRouter, Request

from serving.lineage import Lineage
from serving.routes.requests import AnswerId, principal_of, services_of

router = APIRouter()


@router.get("/v1/answers/{answer_id}/lineage", operation_id="lineage")
async def lineage(answer_id: AnswerId, request: Request) -> Lineage:
    """Trace an answer that was given to the caller: sentence, chunk, document, landed bytes, source, runs, rules."""
    services = services_of(request)
    return await services.pool.run(services.lineage.read, answer_id, principal_of(request))
