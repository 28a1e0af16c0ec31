"""How far a document has come on its way from the landing zone to an answer."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import pyarrow.compute as pc
from pydantic import BaseModel

from ragstone.contracts.records import Envelope, Principal
from ragstone.contracts.tables import SILVER_CHUNKS, SILVER_DOCUMENTS
from ragstone.lake.documents import bronze_state, landing_batch_of
from ragstone.lake.ops import accepted_batch
from ragstone.lake.quarantine import held_entries
from ragstone.lake.read import state
from ragstone.runtime.errors import NotFoundError
from ragstone.runtime.settings import Settings
from serving.auth import may_write
from serving.index.snapshot import IndexSnapshot

Stage = Literal["landed", "validated", "quarantined", "served", "deleted", "vanished"]


class DocumentStatus(BaseModel):
    """Where the newest version of a document stands.

    `landed`: it waits for the next run. `validated`: the rules of bronze accepted it. `quarantined`: a rule or a parser
    refused it, for `reasons`. `served`: the index holds its chunks, so that it is answered from. `deleted`: on request.
    `vanished`: its source has it no more.
    """

    document_id: str
    source: str
    id: str
    status: Stage
    landed_at: datetime
    landing_batch: int | None
    reasons: list[str]


def document_status(
    settings: Settings, snapshot: IndexSnapshot, document_id: str, principal: Principal
) -> DocumentStatus:
    """Return how far a document has come, to who may write it.

    Raises NotFoundError when there is none, and in the same words for everybody who may not write it.
    """
    newest = bronze_state(settings, document_id).get(document_id)
    if newest is None or not may_write(settings, newest.source, principal):
        raise NotFoundError("there is no such document", where=f"GET /v1/documents/{document_id}", got=document_id)
    number = landing_batch_of(settings, document_id)
    reasons = [] if newest.content_hash is None else _reasons(settings, newest)
    return DocumentStatus(
        document_id=document_id,
        source=newest.source,
        id=newest.source_uri,
        status=_stage(settings, snapshot, newest, number, reasons),
        landed_at=newest.fetched_at,
        landing_batch=number,
        reasons=reasons,
    )


def _stage(
    settings: Settings, snapshot: IndexSnapshot, newest: Envelope, number: int | None, reasons: list[str]
) -> Stage:
    if newest.change == "deleted":
        return "deleted"
    if newest.change == "vanished":
        return "vanished"
    if reasons:
        return "quarantined"
    if _is_served(settings, snapshot, newest):
        return "served"
    return "validated" if number is not None and number <= accepted_batch(settings.lake_root) else "landed"


def _reasons(settings: Settings, newest: Envelope) -> list[str]:
    entries: list[dict[str, Any]] = held_entries(settings.lake_root).to_pylist()
    version = (newest.document_id, newest.content_hash)
    # A row without a hash of content is a chunk's: the rest of its document goes on.
    return [row["reason"] for row in entries if (row["document_id"], row["content_hash"]) == version]


def _is_served(settings: Settings, snapshot: IndexSnapshot, newest: Envelope) -> bool:
    """Return whether the index holds exactly the chunks of this version."""
    where = f"document_id = '{newest.document_id}'"
    documents = state(settings.lake_root, SILVER_DOCUMENTS, columns=("content_hash",), where=where)
    if documents["content_hash"].to_pylist() != [newest.content_hash]:
        return False
    chunks = state(settings.lake_root, SILVER_CHUNKS, columns=("chunk_id",), where=where)["chunk_id"].to_pylist()
    rows = snapshot.rows()
    indexed = rows.filter(pc.equal(rows["document_id"], newest.document_id))["chunk_id"].to_pylist()
    return bool(chunks) and set(chunks) == set(indexed)
