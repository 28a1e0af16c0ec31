"""One look at one source: every item compared with what is known of it. Needs no JVM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from ragstone.contracts.identity import content_hash, document_id
from ragstone.contracts.records import Envelope, Rejection
from ragstone.lake.documents import is_alive
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import BadInputError, DeletionGuardError
from spark_jobs.sources.connector import Connector, SourceItem
from spark_jobs.sources.encoding import detect_encoding
from spark_jobs.sources.mime import mime_type


@dataclass
class SourceScan:
    """What one look at a source found. Items = new + changed + unchanged + rejected; `suppressed` are among unchanged.

    `envelopes` are the changes to land, vanished items included. `bytes_read` counts what was read to compare,
    `bytes_fetched` what went into the landing zone.
    """

    source: str
    envelopes: list[Envelope] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    items: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    suppressed: int = 0
    vanished: int = 0
    bytes_read: int = 0
    bytes_fetched: int = 0

    def counts(self) -> dict[str, int]:
        """Return the counts by name, for logs and for the record of the run."""
        named = {name: value for name, value in vars(self).items() if isinstance(value, int)}
        return {**named, "rejected": len(self.rejections)}


def scan_source(connector: Connector, known: Mapping[str, Envelope], landing: LandingZone) -> SourceScan:
    """Compare a source with the newest change of each of its documents, by document_id, and store new bytes.

    An item that cannot be taken in is set aside and counts as present: its last good version stays. A deleted document
    is not looked at until it is restored.
    """
    scan = SourceScan(connector.name)
    seen = set()
    for item in connector.items():
        document = document_id(connector.name, item.source_uri)
        seen.add(document)
        scan.items += 1
        _compare(scan, connector, item, known.get(document), landing)
    _note_vanished(scan, known, seen)
    return scan


def check_deletions(scan: SourceScan, known: Mapping[str, Envelope], max_deleted_share: float) -> None:
    """Raise DeletionGuardError when more than a share of the source's living documents would vanish."""
    living = sum(is_alive(envelope) for envelope in known.values())
    if living and scan.vanished / living > max_deleted_share:
        raise DeletionGuardError(
            f"this run would delete {scan.vanished} of the {living} documents of {scan.source}; nothing was changed",
            where=f"source {scan.source}",
            got=f"{scan.vanished / living:.0%} vanished",
            wanted=f"at most {max_deleted_share:.0%} (ingest.max_deleted_share)",
            next_step="check the source's folder and patterns; if they are right: ragstone ingest --allow-deletes",
        )


def _compare(
    scan: SourceScan, connector: Connector, item: SourceItem, before: Envelope | None, landing: LandingZone
) -> None:
    if before is not None and before.change == "deleted":
        scan.unchanged += 1
        scan.suppressed += 1
        return
    digest = None
    try:
        content = connector.fetch(item)
        digest = content_hash(content)
        scan.bytes_read += len(content)
        _take(scan, connector, item, before, content, landing)
    except BadInputError as bad:
        scan.rejections.append(_rejection(connector, item, digest, bad))


def _take(
    scan: SourceScan,
    connector: Connector,
    item: SourceItem,
    before: Envelope | None,
    content: bytes,
    landing: LandingZone,
) -> None:
    change = _change(before, content_hash(content), connector)
    if change is None:
        scan.unchanged += 1
        return
    if change == "fetched":
        detect_encoding(content)
        scan.bytes_fetched += len(content)
    scan.new += not is_alive(before)
    scan.changed += is_alive(before)
    scan.envelopes.append(_envelope(connector, item, change, content, landing.put_object(content)))


def _change(before: Envelope | None, digest: str, connector: Connector) -> str | None:
    """Return what kind of change an item shows, the gravest one, or None."""
    if before is None or not is_alive(before) or before.content_hash != digest:
        return "fetched"
    if before.acl != connector.acl:
        return "access"
    # The source's date alone is no change: copying a folder or checking out a branch sets every date anew.
    return "metadata" if before.source_metadata != connector.metadata else None


def _envelope(connector: Connector, item: SourceItem, change: str, content: bytes, landing_uri: str) -> Envelope:
    return Envelope(
        document_id=document_id(connector.name, item.source_uri),
        source=connector.name,
        source_uri=item.source_uri,
        change=change,
        fetched_at=datetime.now(UTC),
        content_hash=content_hash(content),
        size_bytes=len(content),
        mime_type=mime_type(item.source_uri, content),
        landing_uri=landing_uri,
        acl=connector.acl,
        source_metadata=connector.metadata,
        source_modified_at=item.modified_at,
    )


def _note_vanished(scan: SourceScan, known: Mapping[str, Envelope], seen: set[str]) -> None:
    for document, before in known.items():
        if is_alive(before) and document not in seen:
            scan.vanished += 1
            scan.envelopes.append(
                Envelope(document, before.source, before.source_uri, "vanished", fetched_at=datetime.now(UTC))
            )


def _rejection(connector: Connector, item: SourceItem, digest: str | None, bad: BadInputError) -> Rejection:
    return Rejection(
        step="ingest",
        dataset=connector.name,
        item_key=item.source_uri,
        reason=f"{bad.what}: got {bad.got}, wanted {bad.wanted}",
        document_id=document_id(connector.name, item.source_uri),
        content_hash=digest,
        payload_pointer=item.locator.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
    )
