"""One look at one source: every item compared with what is known of it. Needs no JVM."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from ragstone.contracts.identity import content_hash, document_id
from ragstone.contracts.records import Envelope, Rejection
from ragstone.lake.documents import is_alive
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import BadInputError, DeletionGuardError
from ragstone.runtime.logging import get_logger
from spark_jobs.sources.connector import Connector, SourceItem
from spark_jobs.sources.mime import check_readable
from spark_jobs.sources.mime import mime_type as told_mime_type

_ITEMS_PER_WORKER: Final = 16
_ITEMS_PER_LOG_LINE: Final = 1_000

_log = get_logger(__name__)


@dataclass(frozen=True)
class _Outcome:
    """What one item is: a change to land, a rejection, or, with neither, as it was."""

    envelope: Envelope | None = None
    rejection: Rejection | None = None
    is_new: bool = False
    suppressed: bool = False
    is_unread: bool = False
    bytes_read: int = 0
    bytes_fetched: int = 0


@dataclass
class SourceScan:
    """What one look at a source found.

    Items = new + changed + unchanged + rejected + what the source itself calls deleted; `suppressed` are among
    unchanged. `envelopes` are the changes to land, vanished items included. `bytes_read` counts what was read to
    compare, `bytes_fetched` what went into the landing zone. `listed` has the source_uri of every item,
    `unread` of those that stayed as they were without their content having been looked at.
    """

    source: str
    envelopes: list[Envelope] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    lists_all: bool = True
    items: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    suppressed: int = 0
    vanished: int = 0
    bytes_read: int = 0
    bytes_fetched: int = 0
    _logged: int = 0

    def add(self, outcome: _Outcome) -> None:
        """Count one item."""
        self.items += 1
        self.bytes_read += outcome.bytes_read
        self.bytes_fetched += outcome.bytes_fetched
        self.suppressed += outcome.suppressed
        envelope = outcome.envelope
        if outcome.rejection is not None:
            self.rejections.append(outcome.rejection)
        elif envelope is None:
            self.unchanged += 1
        else:
            self.envelopes.append(envelope)
            self.vanished += envelope.change == "vanished"
            self.new += outcome.is_new
            self.changed += not outcome.is_new and envelope.change != "vanished"

    def merge(self, later: SourceScan) -> None:
        """Add what a later look at the same source found."""
        self.envelopes += later.envelopes
        self.rejections += later.rejections
        for name, value in vars(later).items():
            if isinstance(value, int):
                setattr(self, name, getattr(self, name) + value)

    def tells_of(self, source_uri: str) -> bool:
        """Return whether this look says how an item is now: it was read, or its absence means that it is gone."""
        return source_uri not in self.unread and (self.lists_all or source_uri in self.listed)

    def counts(self) -> dict[str, int]:
        """Return the counts by name, for logs and for the record of the run."""
        named = {name: value for name, value in vars(self).items() if type(value) is int and name[0] != "_"}
        return {**named, "rejected": len(self.rejections)}


def scan_source(
    connector: Connector,
    known: Mapping[str, Envelope],
    landing: LandingZone,
    set_aside: Collection[str] = (),
) -> SourceScan:
    """Compare a source with the newest change of each of its documents, by document_id, and store new bytes.

    An item that cannot be taken in is set aside and counts as present: its last good version stays. A deleted document
    is not looked at until it is restored. Items of the source_uris in `set_aside` are read even where their version is
    the landed one: only content tells that they may be taken in again.
    """
    scan = SourceScan(connector.name, lists_all=connector.lists_all)
    by_uri = {
        envelope.source_uri: replace(envelope, source_version=None) if envelope.source_uri in set_aside else envelope
        for envelope in known.values()
    }
    with ThreadPoolExecutor(connector.parallel) as workers:
        # In batches, because a pool takes in its whole input at once and items may carry their content.
        for items in _batched(connector.items(by_uri), connector.parallel * _ITEMS_PER_WORKER):
            # By id, because of a purged document nothing else is known.
            befores = [known.get(document_id(connector.name, item.source_uri)) for item in items]
            for item, outcome in zip(
                items, workers.map(partial(_compare, connector, landing, set_aside), items, befores), strict=True
            ):
                scan.add(outcome)
                if outcome.is_unread:
                    scan.unread.add(item.source_uri)
            scan.listed |= {item.source_uri for item in items}
            _log_progress(scan)
    if connector.lists_all:
        _note_vanished(scan, known)
    _note_access(scan, known, connector.acl)
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


def scan_settings(name: str, acl: tuple[str, ...], known: Mapping[str, Envelope]) -> SourceScan:
    """Return what a change of a source's settings means for its documents, where nothing lists them.

    Their items come by themselves, and may not come again: who may read them must not wait for that.
    """
    scan = SourceScan(name)
    _note_access(scan, known, acl)
    return scan


def _compare(
    connector: Connector,
    landing: LandingZone,
    set_aside: Collection[str],
    item: SourceItem,
    before: Envelope | None,
) -> _Outcome:
    """Return what one item is; called from several threads."""
    if before is not None and before.change == "deleted":
        return _Outcome(suppressed=True)
    if item.kept:
        return _Outcome(_new_access(before, connector.acl), is_unread=True)
    if item.deleted:
        return _Outcome(_vanished(before) if before is not None and is_alive(before) else None)
    digest, read = None, 0
    try:
        if item.refusal is not None:
            raise item.refusal
        if (
            before is not None
            and is_alive(before)
            and item.content is None
            and item.version is not None
            and item.version == before.source_version
            and item.source_uri not in set_aside
        ):
            return _Outcome(_described(connector, item, before), is_unread=True)
        content = item.content if item.content is not None else connector.fetch(item)
        digest, read = content_hash(content), len(content)
        return _taken(connector, landing, item, before, content)
    except BadInputError as bad:
        return _Outcome(rejection=_rejection(connector, item, digest, bad), bytes_read=read)


def _taken(
    connector: Connector, landing: LandingZone, item: SourceItem, before: Envelope | None, content: bytes
) -> _Outcome:
    digest = content_hash(content)
    # The same bytes are another document where their source has them read in another way.
    if (
        before is not None
        and is_alive(before)
        and (before.content_hash, before.mime_type) == (digest, item.mime_type or before.mime_type)
    ):
        return _Outcome(_described(connector, item, before), bytes_read=len(content))
    mime_type = item.mime_type or told_mime_type(item.source_uri, content)
    check_readable(content, mime_type)
    envelope = Envelope(
        document_id=document_id(connector.name, item.source_uri),
        source=connector.name,
        source_uri=item.source_uri,
        change="fetched",
        fetched_at=datetime.now(UTC),
        content_hash=digest,
        size_bytes=len(content),
        mime_type=mime_type,
        landing_uri=landing.put_object(content),
        acl=connector.acl,
        source_metadata={**connector.metadata, **item.metadata},
        source_modified_at=item.modified_at,
        source_version=item.version,
    )
    return _Outcome(envelope, is_new=not is_alive(before), bytes_read=len(content), bytes_fetched=len(content))


def _described(connector: Connector, item: SourceItem, before: Envelope) -> Envelope | None:
    """Return the change of an item whose content is as before: who may read it, what is said of it, or none."""
    metadata = {**connector.metadata, **item.metadata}
    # The source's date alone is no change: copying a folder or checking out a branch sets every date anew.
    if (before.acl, before.source_metadata, before.source_version) == (connector.acl, metadata, item.version):
        return None
    return replace(
        before,
        change="access" if before.acl != connector.acl else "metadata",
        fetched_at=datetime.now(UTC),
        acl=connector.acl,
        source_metadata=metadata,
        source_modified_at=item.modified_at,
        source_version=item.version,
    )


def _note_vanished(scan: SourceScan, known: Mapping[str, Envelope]) -> None:
    for before in known.values():
        if is_alive(before) and before.source_uri not in scan.listed:
            scan.vanished += 1
            scan.envelopes.append(_vanished(before))


def _note_access(scan: SourceScan, known: Mapping[str, Envelope], acl: tuple[str, ...]) -> None:
    """Note who may read the documents of which nothing else is known: not listed, or set aside."""
    told = {envelope.document_id for envelope in scan.envelopes}
    for before in known.values():
        changed = None if before.document_id in told else _new_access(before, acl)
        if changed is not None:
            scan.add(_Outcome(changed))


def _new_access(before: Envelope | None, acl: tuple[str, ...]) -> Envelope | None:
    """Return the change of a document that others may read now, if they are others."""
    if before is None or not is_alive(before) or before.acl == acl:
        return None
    return replace(before, change="access", fetched_at=datetime.now(UTC), acl=acl)


def _vanished(before: Envelope) -> Envelope:
    return Envelope(before.document_id, before.source, before.source_uri, "vanished", fetched_at=datetime.now(UTC))


def _batched(items: Iterator[SourceItem], size: int) -> Iterator[list[SourceItem]]:
    while batch := list(itertools.islice(items, size)):
        yield batch


def _log_progress(scan: SourceScan) -> None:
    if scan.items >= scan._logged + _ITEMS_PER_LOG_LINE:
        scan._logged = scan.items
        _log.info("source being read", source=scan.source, items=scan.items, bytes_read=scan.bytes_read)


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
