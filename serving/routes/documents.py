"""/v1/documents: write documents, ask how far one has come, delete one so that no next question is answered from it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from ragstone.features.access import delete_document
from ragstone.lake.push import Change, Push, PushedDocument, push_documents
from serving.auth import require_admin, require_writer
from serving.document_status import DocumentStatus, document_status
from serving.routes.requests import DocumentId, principal_of, services_of

router = APIRouter()
PATH: Final = "/v1/documents"
_ANSWERABLE: Final = "after the next run of the pipeline (ragstone run)"
_NOTHING_NEW: Final = "as before: nothing changed"

Metadata = Annotated[dict[Annotated[str, Field(min_length=1, max_length=200)], str], Field(max_length=64)]


class SentDocument(BaseModel):
    """One document. `id` names it within its source for good: the same id again is a new version."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: Annotated[str, Field(min_length=1, max_length=1_000)]
    text: Annotated[str, Field(min_length=1)]
    title: Annotated[str | None, Field(max_length=1_000)] = None
    text_type: Literal["text/plain", "text/markdown", "text/html", "text/x-rst"] = "text/plain"
    metadata: Metadata = Field(default_factory=dict)


class PushRequest(BaseModel):
    """Documents for one push source: all of them are landed, or none."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: str
    documents: Annotated[list[SentDocument], Field(min_length=1, max_length=1_000)]


class ReceivedDocument(BaseModel):
    """What became of one document; `status_url` tells later how far it has come."""

    id: str
    document_id: str
    change: Change
    status_url: str


class PushReceipt(BaseModel):
    """What was landed, durably. `landing_batch` is null when everything was as before."""

    source: str
    landing_batch: int | None
    answerable: str
    documents: list[ReceivedDocument]


class Deletion(BaseModel):
    """A delete that binds already: landed durably, then written online."""

    document_id: str
    deleted: bool


@router.post(PATH, operation_id="push_documents", status_code=202)
async def push(body: PushRequest, request: Request) -> PushReceipt:
    """Write documents into the landing zone; needs one of the source's `writers` groups.

    Sending the same again changes nothing. A deleted document is refused with 409 until it is restored.
    """
    services = services_of(request)
    require_writer(services.settings, body.source, principal_of(request), f"POST {PATH}")
    sent = [PushedDocument(**document.model_dump()) for document in body.documents]
    return _receipt(body, await services.pool.run(push_documents, services.settings, body.source, sent))


@router.get(PATH + "/{document_id}", operation_id="document_status")
async def status(document_id: DocumentId, request: Request) -> DocumentStatus:
    """Say how far a document has come: landed, validated, quarantined, served, deleted or vanished.

    Who may not write the document is told that there is none.
    """
    services = services_of(request)
    principal = principal_of(request)
    return await services.pool.run(document_status, services.settings, services.index.current(), document_id, principal)


@router.delete(PATH + "/{document_id}", operation_id="delete_document")
async def delete(document_id: DocumentId, request: Request) -> Deletion:
    """Delete a document; needs the group `admin`. `ragstone documents restore` lifts it."""
    services = services_of(request)
    principal = principal_of(request)
    require_admin(principal, f"DELETE {PATH}/{document_id}")
    await services.pool.run(delete_document, services.settings, document_id, principal.name)
    return Deletion(document_id=document_id, deleted=True)


def _receipt(body: PushRequest, push: Push) -> PushReceipt:
    received = zip(body.documents, push.changes.items(), strict=True)
    return PushReceipt(
        source=body.source,
        landing_batch=push.landing_batch,
        answerable=_NOTHING_NEW if push.landing_batch is None else _ANSWERABLE,
        documents=[
            ReceivedDocument(id=sent.id, document_id=name, change=change, status_url=f"{PATH}/{name}")
            for sent, (name, change) in received
        ],
    )
