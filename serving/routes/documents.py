"""DELETE /v1/documents/{id}: the document is not answered from at the next question."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel

from ragstone.features.access import delete_document
from serving.auth import require_admin
from serving.routes.requests import DocumentId, principal_of, services_of

router = APIRouter()


class Deletion(BaseModel):
    """A delete that binds already: landed durably, then written online."""

    document_id: str
    deleted: bool


@router.delete("/v1/documents/{document_id}", operation_id="delete_document")
async def delete(document_id: DocumentId, request: Request) -> Deletion:
    """Delete a document; needs the group `admin`. `ragstone documents restore` lifts it."""
    services = services_of(request)
    principal = principal_of(request)
    require_admin(principal, f"DELETE /v1/documents/{document_id}")
    await services.pool.run(delete_document, services.settings, document_id, principal.name)
    return Deletion(document_id=document_id, deleted=True)
