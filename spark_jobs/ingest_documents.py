"""Ingest: new, changed and vanished items of every source become landing objects with envelopes, then bronze rows.

Listing, hashing and landing need no JVM; when nothing changed, none is started.
"""

from __future__ import annotations

import sys
from collections import Counter
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
from ragstone.runtime.source_settings import KafkaSource
from spark_jobs.entrypoint import job_main
from spark_jobs.sources.connect import connect, is_scanned
from spark_jobs.sources.scan import SourceScan, check_deletions, scan_settings, scan_source

STEP: Final = "ingest"

_log = get_logger(__name__)


def run(settings: Settings, run_id: str) -> StepResult:
    """Land every change of every source, bind revocations at once, set bad items aside, and bring bronze up to date.

    Counts are in items: accepted (new or changed), unchanged, quarantined. Raises ConfigError when a source cannot be
    listed and DeletionGuardError when too much of one would vanish; then nothing is landed.
    """
    _check_sources(settings)
    landing = LandingZone(settings.landing_root)
    streamed, streamed_rows = _take_streams(settings, run_id)
    seen_batch = landing.last_batch()
    scans = _scan_sources(settings, landing)
    changes = [envelope for scan in scans for envelope in scan.envelopes]
    landed = landing.append_untouched(changes, run_id, seen_batch)
    landed += [envelope for scan in streamed for envelope in scan.envelopes]
    apply_landed_access(settings, run_id)
    rows_set_aside = _quarantine(settings, scans, run_id)
    written = follow_landed(settings)
    return ingest_result(settings, [*scans, *streamed], landed, rows_set_aside + streamed_rows, written)


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
    entries = quarantine.open_entries(settings.lake_root, STEP).to_pylist()
    scans = []
    for name, source in settings.sources.items():
        of_source = {document: envelope for document, envelope in known.items() if envelope.source == name}
        if not is_scanned(source):
            scan = scan_settings(name, source.acl, of_source)
            scans += [scan] if scan.envelopes else []
            continue
        set_aside = {entry["item_key"] for entry in entries if entry["dataset"] == name}
        connector = connect(name, source, settings.ingest, settings.parsing, landing)
        scan = scan_source(connector, of_source, landing, set_aside)
        check_deletions(scan, of_source, settings.ingest.max_deleted_share)
        scans.append(scan)
        report(scan)
    _warn_of_orphans(settings, known)
    return scans


def _take_streams(settings: Settings, run_id: str) -> tuple[list[SourceScan], int]:
    """Land what every topic holds now; return what it was and the rows of quarantine written.

    Without a topic, Spark is not even imported.
    """
    if not any(isinstance(source, KafkaSource) for source in settings.sources.values()):
        return [], 0
    from spark_jobs.topics import take_available, topics_of

    topics = topics_of(settings)
    scans = [take_available(topic, run_id) for topic in topics]
    for scan in scans:
        report(scan)
    return scans, sum(topic.quarantine_rows for topic in topics)


def report(scan: SourceScan) -> None:
    """Log what a look at a source found, and count it."""
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


def apply_landed_access(settings: Settings, run_id: str) -> None:
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
    by_source = {scan.source: scan for scan in scans}
    mended = [
        entry["entry_id"]
        for entry in quarantine.open_entries(settings.lake_root, STEP).to_pylist()
        # What a stream or a sender gave was looked at once: not to see it again says nothing.
        if entry["entry_id"] not in still_rejected
        and entry["dataset"] in by_source
        and by_source[entry["dataset"]].tells_of(entry["item_key"])
    ]
    new = quarantine.set_aside(settings.lake_root, rejections, run_id)
    return new + quarantine.resolve(settings.lake_root, mended, run_id)


def follow_landed(settings: Settings) -> int:
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


def ingest_result(
    settings: Settings, scans: Sequence[SourceScan], landed: Sequence[Envelope], set_aside: int, written: int
) -> StepResult:
    """Return what these looks at sources did: `set_aside` and `written` count rows of quarantine and of bronze."""
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
        details={"sources": _counts(scans), "quarantine_rows": set_aside},
    )


def _counts(scans: Sequence[SourceScan]) -> dict[str, Counter[str]]:
    """Return the counts of each source, which may have been looked at twice."""
    counts: dict[str, Counter[str]] = {}
    for scan in scans:
        counts.setdefault(scan.source, Counter()).update(scan.counts())
    return counts


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
