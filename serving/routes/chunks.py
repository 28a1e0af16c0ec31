"""GET /v1/chunks/{id}: the passage a citation points at, gated like retrieval."""

from __future__ import annotations

from fastapi import APIRouter, Request

from serving.passages import Passage, gated_passage
from serving.routes.requests import ChunkId, principal_of, services_of

router = APIRouter()


@router.get("/v1/chunks/{chunk_id}", operation_id="chunk")
async def chunk(chunk_id: ChunkId, request: Request) -> Passage:
    """Show a chunk that a question could be answered from now; anything else is not found, whatever the reason."""
    services = services_of(request)
    principal = principal_of(request)
    return await services.pool.run(gated_passage, services.index.current(), services.reader, chunk_id, principal)
