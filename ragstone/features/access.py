"""Who may read a document, and whether it lives, changed at once: landed first, then the lake, then online.

A delete is durable before anything else happens, so that nothing brings the document back: not a crash, not a
materialization, not an ingest of the item that is still there. It binds at the next question, because the gate reads
`document_access` online.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import redis

from ragstone.contracts.records import Envelope
from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.features.redis_layout import encode, encode_time, entity_key, feature_field, queue, time_field
from ragstone.features.views import ACCESS
from ragstone.lake import read
from ragstone.lake.delta import append_rows
from ragstone.lake.documents import bronze_state, is_alive, last_content
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import DependencyUnavailableError, NotFoundError, UsageError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings

_ROWS_AT_ONCE: Final = 1_000
_log = get_logger(__name__)

AccessRow = Mapping[str, Any]


def delete_document(settings: Settings, document_id: str, requested_by: str) -> None:
    """Delete a document, durably before online; deleting it again is no error.

    Raises NotFoundError when there is no such document, DependencyUnavailableError when the delete is recorded but
    Redis does not answer.
    """
    newest = _newest_change(settings, document_id)
    if newest.change == "deleted":
        apply_access(settings, [newest], run_id="")
        return
    deleted = Envelope(document_id, newest.source, newest.source_uri, "deleted", fetched_at=datetime.now(UTC))
    _land(settings, deleted, requested_by)


def restore_document(settings: Settings, document_id: str, requested_by: str) -> None:
    """Lift a delete: the document's last content counts again. Raises NotFoundError, UsageError when it is not deleted.

    What preprocess has taken apart since comes back with the next run of the pipeline.
    """
    newest, content = _newest_change(settings, document_id), last_content(settings, document_id)
    if newest.change != "deleted":
        raise UsageError("only a deleted document can be restored", where=document_id, got=newest.change)
    if content is None:
        raise NotFoundError("the document never had content", where=document_id, wanted="a landed version")
    _land(settings, replace(content, change="restored", fetched_at=datetime.now(UTC)), requested_by)


def apply_access(settings: Settings, changes: Sequence[Envelope], run_id: str) -> int:
    """Make landed changes bind: append what differs to silver.document_access, write it online, return rows appended.

    The last change of a document counts. Applying a change again, or after a newer one, changes nothing; what goes
    online is always the lake's newest row. Raises DependencyUnavailableError when Redis does not answer.
    """
    wanted = {envelope.document_id: envelope for envelope in changes}
    known = _newest_access(settings, list(wanted))
    rows = [
        row for envelope in wanted.values() if (row := _access_row(envelope, known.get(envelope.document_id), run_id))
    ]
    append_rows(settings.lake_root, DOCUMENT_ACCESS, rows)
    write_access_online(settings, [*{**known, **{row["document_id"]: row for row in rows}}.values()])
    return len(rows)


def write_access_online(settings: Settings, rows: Sequence[AccessRow]) -> None:
    """Write rows of silver.document_access to Redis as Feast would. Raises DependencyUnavailableError."""
    try:
        with online_client(settings) as client:
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                _write(client, settings.feast.project, rows[start : start + _ROWS_AT_ONCE])
    except redis.RedisError as failed:
        raise DependencyUnavailableError(
            "a change of access is recorded, but the online store does not answer",
            where="redis",
            got=f"{type(failed).__name__}: {failed}",
            next_step="repeat the command, or run `ragstone materialize`: either makes it bind online",
        ) from failed


def _write(client: redis.Redis, project: str, rows: Sequence[AccessRow]) -> None:
    with client.pipeline(transaction=False) as pipeline:
        for row in rows:
            stored = {
                time_field(ACCESS.name): encode_time(row["event_timestamp"]),
                feature_field(ACCESS.name, "acl"): encode(row["acl"]),
                feature_field(ACCESS.name, "document_active"): encode(row["active"]),
            }
            key = entity_key(project, ACCESS.join_key, row["document_id"])
            queue(pipeline, "HSET", key, *(part for pair in stored.items() for part in pair))
        pipeline.execute()


def _land(settings: Settings, envelope: Envelope, requested_by: str) -> None:
    batch = LandingZone(settings.landing_root).append_batch([envelope])
    _log.info(
        "document access changed",
        document_id=envelope.document_id,
        change=envelope.change,
        requested_by=requested_by,
        landing_batch=batch.number,
    )
    apply_access(settings, batch.envelopes, batch.run_id)


def _newest_change(settings: Settings, document_id: str) -> Envelope:
    found = bronze_state(settings, document_id).get(document_id)
    if found is None:
        raise NotFoundError("there is no such document", where=document_id, next_step="ragstone documents list")
    return found


def _newest_access(settings: Settings, document_ids: Sequence[str]) -> dict[str, AccessRow]:
    names = ", ".join("'" + name.replace("'", "''") + "'" for name in document_ids)
    rows = read.newest_rows(settings.lake_root, DOCUMENT_ACCESS, where=f"document_id IN ({names or 'NULL'})")
    return {row["document_id"]: row for row in rows.to_pylist()}


def _access_row(envelope: Envelope, known: AccessRow | None, run_id: str) -> AccessRow | None:
    """Return the row that a change adds after the newest known one, or None when it adds nothing."""
    active = is_alive(envelope)
    acl = list(envelope.acl) if active and envelope.acl is not None else None
    written_at = datetime.now(UTC)
    if known is not None:
        if known["event_timestamp"] > envelope.fetched_at or (known["active"], known["acl"]) == (active, acl):
            return None
        # Created times strictly increase per key, even when the clock does not.
        written_at = max(written_at, known["created_timestamp"] + timedelta(microseconds=1))
    return {
        "document_id": envelope.document_id,
        "acl": acl,
        "active": active,
        "event_timestamp": envelope.fetched_at,
        "created_timestamp": written_at,
        "run_id": run_id,
    }
