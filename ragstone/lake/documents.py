"""What is known of each document now: bronze and, beyond it, the landing batches that are not in bronze yet.

The landing log decides the order: the change in the batch with the greatest number is a document's newest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, Final

from ragstone.contracts.records import Envelope
from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read
from ragstone.lake.delta import transaction_version
from ragstone.lake.landing import LandingBatch, LandingZone
from ragstone.runtime.settings import Settings

_ENVELOPE_COLUMNS: Final = (
    "document_id",
    "source",
    "source_uri",
    "change",
    "fetched_at",
    "content_hash",
    "size_bytes",
    "mime_type",
    "landing_uri",
    "acl",
    "source_metadata",
    "source_modified_at",
    "source_version",
)


def bronze_app_id(landing: LandingZone) -> str:
    """Return the txnAppId under which bronze follows a landing zone; its txnVersion is the last batch taken over."""
    return f"ingest:landing:{landing.landing_id()}"


def bronze_batch(settings: Settings) -> int:
    """Return the number of the last landing batch that bronze holds, 0 when it holds none."""
    landing = LandingZone(settings.landing_root)
    return transaction_version(settings.lake_root, BRONZE_DOCUMENTS, bronze_app_id(landing)) or 0


def pending_batches(settings: Settings) -> list[LandingBatch]:
    """Return the landing batches that are not in bronze yet, in order."""
    return list(LandingZone(settings.landing_root).read_batches(after=bronze_batch(settings)))


def bronze_rows(batch: LandingBatch) -> list[dict[str, Any]]:
    """Return what a landing batch is in bronze, but for created_timestamp."""
    return [
        {
            **vars(envelope),
            "acl": None if envelope.acl is None else list(envelope.acl),
            "landing_batch": batch.number,
            "run_id": batch.run_id,
        }
        for envelope in batch.envelopes
    ]


def bronze_state(settings: Settings, document_id: str | None = None) -> dict[str, Envelope]:
    """Return the newest change of every document, or of one, by document_id; pending batches count."""
    return _newest_known(settings, None if document_id is None else (document_id,))


def states_of(settings: Settings, document_ids: Collection[str]) -> dict[str, Envelope]:
    """Return the newest change of each of these documents that is known, by document_id; pending batches count."""
    return _newest_known(settings, frozenset(document_ids))


def landing_batch_of(settings: Settings, document_id: str) -> int | None:
    """Return the number of the landing batch that holds a document's newest change, or None when there is no such."""
    sql = "SELECT max(landing_batch) AS number FROM bronze WHERE document_id = ?"
    known = read.query(settings.lake_root, sql, (document_id,), bronze=BRONZE_DOCUMENTS)["number"][0].as_py()
    for batch in pending_batches(settings):
        if any(envelope.document_id == document_id for envelope in batch.envelopes):
            known = batch.number
    return None if known is None else int(known)


def last_content(settings: Settings, document_id: str) -> Envelope | None:
    """Return the newest change of a document that carries content, or None: what a restore brings back."""
    found = _newest_in_bronze(settings, (document_id,), "content_hash IS NOT NULL").get(document_id)
    for envelope in _pending_envelopes(settings):
        if envelope.document_id == document_id and envelope.content_hash is not None:
            found = envelope
    return found


def access_changes(settings: Settings) -> list[Envelope]:
    """Return the pending changes that open or close a document to anyone, in order: they must not wait for bronze.

    A first or returning version is left out: it has no chunks to be read before the pipeline has run. The same changes
    come back until bronze holds them, so that a run which died before applying them is made good by the next.
    """
    known = _newest_in_bronze(settings, None, "TRUE")
    changes = []
    for envelope in _pending_envelopes(settings):
        if _concerns_access(envelope, known.get(envelope.document_id)):
            changes.append(envelope)
        known[envelope.document_id] = envelope
    return changes


def is_alive(envelope: Envelope | None) -> bool:
    """Return whether a document whose newest change this is has content that may be read."""
    return envelope is not None and envelope.change not in ("vanished", "deleted")


def _concerns_access(envelope: Envelope, before: Envelope | None) -> bool:
    if envelope.change in ("vanished", "deleted", "restored"):
        return True
    return before is not None and is_alive(before) and before.acl != envelope.acl


def _newest_known(settings: Settings, document_ids: Collection[str] | None) -> dict[str, Envelope]:
    newest = _newest_in_bronze(settings, document_ids, "TRUE")
    for envelope in _pending_envelopes(settings):
        if document_ids is None or envelope.document_id in document_ids:
            newest[envelope.document_id] = envelope
    return newest


def _pending_envelopes(settings: Settings) -> Iterable[Envelope]:
    return (envelope for batch in pending_batches(settings) for envelope in batch.envelopes)


def _newest_in_bronze(settings: Settings, document_ids: Collection[str] | None, condition: str) -> dict[str, Envelope]:
    columns = ", ".join(_ENVELOPE_COLUMNS)
    marks = ", ".join("?" * len(document_ids or ())) or "NULL"
    only = "TRUE" if document_ids is None else f"document_id IN ({marks})"
    rows = read.query(
        settings.lake_root,
        f"""SELECT {columns} FROM (
            SELECT {columns}, row_number() OVER (
                PARTITION BY document_id ORDER BY landing_batch DESC
            ) AS row_rank
            FROM bronze WHERE {only} AND {condition}
        ) WHERE row_rank = 1""",
        tuple(document_ids or ()),
        bronze=BRONZE_DOCUMENTS,
    )
    return {row["document_id"]: _envelope(row) for row in rows.to_pylist()}


def _envelope(row: dict[str, Any]) -> Envelope:
    acl, metadata = row["acl"], row["source_metadata"]
    return Envelope(
        **{
            **row,
            "acl": None if acl is None else tuple(acl),
            "source_metadata": None if metadata is None else dict(metadata),
        }
    )
