"""Whether the service lives, whether it can answer, and its metrics."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from ragstone.runtime.metrics import EXPOSITION_TYPE, exposition
from serving.routes.requests import services_of

router = APIRouter()


class Liveness(BaseModel):
    """The event loop turns."""

    status: str


class Audited(BaseModel):
    """What the last audit of sampled rows found: how many differ between lake, online store and index, by view."""

    at: datetime
    checked: int
    mismatches: dict[str, int]


class Readiness(BaseModel):
    """What a ready service answers with: the index it searches and the function that encodes questions.

    `index_left_aside` says why a published index could not be taken up, so that the one before is searched on; null
    when all is well. `audit` is null before the first one; when it found mismatches, `status` is degraded.
    """

    status: Literal["ready", "degraded"]
    index_version: str
    chunks: int
    embedding_space: str
    encoder_hash: str
    generation: str
    index_left_aside: str | None
    audit: Audited | None


@router.get("/health/live", operation_id="live")
async def live() -> Liveness:
    """Say that the process answers at all."""
    return Liveness(status="live")


@router.get("/health/ready", operation_id="ready")
async def ready(request: Request) -> Readiness:
    """Say whether questions can be answered: an index is mapped and the online store answers. 503 when not."""
    services = services_of(request)
    manifest = await services.pool.run(services.check)
    found = services.audit.last
    return Readiness(
        status="ready" if found is None or found.agrees else "degraded",
        audit=None if found is None else Audited(at=found.at, checked=found.checked, mismatches=found.mismatches),
        index_version=manifest.version,
        chunks=manifest.count,
        embedding_space=manifest.space,
        encoder_hash=manifest.encoder_hash,
        generation="extractive" if services.settings.llm.url is None else services.settings.llm.model,
        index_left_aside=services.index.left_aside(),
    )


@router.get("/metrics", operation_id="metrics", response_class=Response)
async def metrics() -> Response:
    """Return all metrics in Prometheus text form."""
    return Response(exposition(), media_type=EXPOSITION_TYPE)
