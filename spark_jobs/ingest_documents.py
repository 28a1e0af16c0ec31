"""Ingest: new, changed and vanished items of every source become landing objects with envelopes, then bronze rows.

Listing, hashing and landing need no JVM; when nothing changed, none is started.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from ragstone.contracts.records import Envelope, StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS, QUARANTINE
from ragstone.lake import quarantine
from ragstone.lake.delta import table_version
from ragstone.lake.documents import access_changes, bronze_batch, bronze_state, is_alive, pending_batches
from ragstone.lake.landing import LandingZone
from ragstone.runtime import metrics
from ragstone.runtime.errors import ConfigError, ContractError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from spark_jobs.entrypoint import job_main
from spark_jobs.sources.connect import connect, is_scanned
from spark_jobs.sources.scan import SourceScan, check_deletions, scan_source

STEP: Final = "ingest"

_log = get_logger(__name__)


def run(settings: Settings, run_id: str) -> StepResult:
    """Land every change of every source, bind revocations at once, set bad items aside, and bring bronze up to date.

    Counts are in items: accepted (new or changed), unchanged, quarantined. Raises ConfigError when a source cannot be
    listed and DeletionGuardError when too much of one would vanish; then nothing is landed.
    """
    _check_sources(settings)
    landing = LandingZone(settings.landing_root)
    seen_batch = landing.last_batch()
    scans = _scan_sources(settings, landing)
    landed = _land(landing, [envelope for scan in scans for envelope in scan.envelopes], run_id, seen_batch)
    _apply_access(settings, run_id)
    set_aside = _quarantine(settings, scans, run_id)
    written = _follow_landing(settings)
    return _result(settings, scans, landed, set_aside, written)


def main(argv: Sequence[str]) -> int:
    """Run this step as a command or under spark-submit and return the exit code."""
    return job_main(STEP, run, argv)


def _check_sources(settings: Settings) -> None:
    if not settings.sources:
        raise ConfigError(
            "no source of documents is configured",
            where=str(settings.home / "conf.yaml"),
            wanted="at least one entry under sources",
            next_step="ragstone init FOLDER",
        )


def _scan_sources(settings: Settings, landing: LandingZone) -> list[SourceScan]:
    known = bronze_state(settings)
    scans = []
    for name, source in settings.sources.items():
        if not is_scanned(source):
            continue
        of_source = {document: envelope for document, envelope in known.items() if envelope.source == name}
        scan = scan_source(connect(name, source, settings.ingest), of_source, landing)
        check_deletions(scan, of_source, settings.ingest.max_deleted_share)
        scans.append(scan)
        _report(scan)
    _warn_of_orphans(settings, known)
    return scans


def _report(scan: SourceScan) -> None:
    counts = scan.counts()
    _log.info("source read", source=scan.source, **counts)
    for rejection in scan.rejections:
        _log.warning("item set aside", source=scan.source, item=rejection.item_key, reason=rejection.reason)
    for outcome in ("new", "changed", "unchanged", "vanished", "rejected"):
        metrics.INGEST_DOCUMENTS.labels(source=scan.source, outcome=outcome).inc(counts[outcome])


def _warn_of_orphans(settings: Settings, known: Mapping[str, Envelope]) -> None:
    """Tell of sources that have documents but no settings any more: taking them for vanished would be a guess."""
    orphans = {envelope.source for envelope in known.values() if is_alive(envelope)} - settings.sources.keys()
    for source in sorted(orphans):
        _log.warning("source is no longer configured, its documents stay", source=source)


def _land(landing: LandingZone, envelopes: Sequence[Envelope], run_id: str, seen_batch: int) -> list[Envelope]:
    """Append one batch and return what it holds.

    Where someone landed a change of a document since it was compared, such as a delete, ours is dropped: the next run
    compares with theirs.
    """
    while envelopes:
        batch = landing.try_append(envelopes, run_id, seen_batch + 1)
        if batch is not None:
            return list(batch.envelopes)
        for newer in landing.read_batches(after=seen_batch):
            touched = {envelope.document_id for envelope in newer.envelopes}
            envelopes = [envelope for envelope in envelopes if envelope.document_id not in touched]
            seen_batch = newer.number
    return []


def _apply_access(settings: Settings, run_id: str) -> None:
    """Bind what closes or opens documents before the pipeline goes on; a rerun repeats it until bronze holds it."""
    changes = access_changes(settings)
    if changes:
        # Reaching the online store is paid for only where a right has changed.
        from ragstone.features.access import apply_access

        apply_access(settings, changes, run_id)


def _quarantine(settings: Settings, scans: Sequence[SourceScan], run_id: str) -> int:
    """Record rejected items, close the entries of items that came in or went, and return the rows written."""
    rejections = [rejection for scan in scans for rejection in scan.rejections]
    still_rejected = {quarantine.entry_id(rejection) for rejection in rejections}
    earlier = quarantine.open_entries(settings.lake_root, STEP).to_pylist()
    mended = [
        entry["entry_id"]
        for entry in earlier
        if entry["dataset"] in settings.sources and entry["entry_id"] not in still_rejected
    ]
    new = quarantine.set_aside(settings.lake_root, rejections, run_id)
    return new + quarantine.resolve(settings.lake_root, mended, run_id)


def _follow_landing(settings: Settings) -> int:
    """Append the batches bronze does not hold yet and return the rows written; without any, no JVM is started."""
    batches = pending_batches(settings)
    if not batches:
        return 0
    if bronze_batch(settings) == 0 and table_version(settings.lake_root, BRONZE_DOCUMENTS) > 0:
        raise ContractError(
            "bronze.documents was filled from another landing zone",
            where=str(settings.landing_root / "ID"),
            next_step="put the old landing zone back, or remove the lake folder and run the pipeline again",
        )
    from spark_jobs.bronze import follow_landing

    follow_landing(settings, [batch.number for batch in batches])
    return sum(len(batch.envelopes) for batch in batches)


def _result(
    settings: Settings, scans: Sequence[SourceScan], landed: Sequence[Envelope], set_aside: int, written: int
) -> StepResult:
    items = sum(scan.items for scan in scans)
    quarantined = sum(len(scan.rejections) for scan in scans)
    accepted = sum(envelope.change != "vanished" for envelope in landed)
    tables = [spec for spec, rows in ((BRONZE_DOCUMENTS, written), (QUARANTINE, set_aside)) if rows]
    return StepResult(
        step=STEP,
        status="ok" if written or set_aside else "unchanged",
        unit="items",
        accepted=accepted,
        unchanged=items - accepted - quarantined,
        quarantined=quarantined,
        written=written,
        tables_written={spec.name: table_version(settings.lake_root, spec) for spec in tables},
        watermark=bronze_batch(settings),
        details={"sources": {scan.source: scan.counts() for scan in scans}, "quarantine_rows": set_aside},
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
