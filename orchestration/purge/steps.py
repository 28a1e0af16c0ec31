"""What each part of a purge does. Every function may be run again after it was killed at any point."""

from __future__ import annotations

from typing import Any

from orchestration.purge.files import files_with_traces, purge_files
from orchestration.purge.proof import prove
from orchestration.runner import target
from ragstone.features.access import delete_document
from ragstone.features.purge_online import purge_online, purge_streams
from ragstone.lake import purge_record
from ragstone.lake.documents import bronze_state
from ragstone.lake.purge_collect import collect as collect_traces
from ragstone.lake.purge_landing import landed_lines, purge_landing, purged_uri
from ragstone.lake.purge_record import PurgeRecord
from ragstone.lake.purge_tables import count_rows, purge_tables
from ragstone.runtime.errors import ContractError
from ragstone.runtime.settings import Settings


def bind(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Delete the document: from the next question on it is not answered from, and ingest passes it over."""
    newest = bronze_state(settings, record.document_id).get(record.document_id)
    if newest is None or newest.source_uri != purged_uri(record.document_id):
        delete_document(settings, record.document_id, requested_by="purge")
    return {}


def collect(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Find what has to go; from here on the record alone knows."""
    collect_traces(settings, record)
    return {
        "chunks": len(record.chunk_ids),
        "traces": len(record.traces),
        "objects": len(record.objects),
        "shared_objects": record.shared_objects,
        "shared_with": record.shared_with,
    }


def tables(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Rewrite and vacuum every table, once nothing is left that could be drained into one."""
    entries = purge_streams(settings, record)
    return {"entries": entries, "rows": purge_tables(settings.lake_root, record)}


def index(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:
    """Publish an index without the document, or none when it was the last, then drop the snapshots that have it."""
    done: dict[str, Any] = target("serving.index.purge:purge_index")(settings, record.document_id, run_id)
    return done


def online(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Take the document out of Redis: features, conversations, answers, events, and Redis's own files."""
    return purge_online(settings, record)


def landing(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Remove the bytes no other document has, and blank the document's lines in the landing log."""
    return dict(purge_landing(settings, record.document_id, record.objects))


def files(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Take the document out of reports and logs."""
    return {"files": purge_files(settings.home, record)}


def services(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Make running services forget the passages they have decoded: they follow `CURRENT`."""
    return {"renewed": bool(target("serving.index.purge:renew_pointer")(settings))}


def proof(settings: Settings, record: PurgeRecord, run_id: str) -> dict[str, Any]:  # noqa: ARG001
    """Decode every file below the home; raise ContractError that names those with a trace."""
    found = prove(settings, record)
    if found.findings:
        # Whatever was written meanwhile is taken out by the parts that do so, not by this one.
        record.done = {name: done for name, done in record.done.items() if name in ("bind", "collect")}
        purge_record.save(settings, record)
        raise ContractError(
            "a purged document has left traces",
            where=", ".join(sorted({finding.file for finding in found.findings})),
            got="; ".join(f"{finding.file}: {finding.how}" for finding in found.findings),
            wanted="no trace of its text, title or address in any file of the home",
            next_step="remove those files, or end what writes them, then repeat the purge",
        )
    return {"files": dict(found.files), "undecoded": list(found.undecoded), "outside": list(found.outside)}


def preview(settings: Settings, record: PurgeRecord) -> dict[str, Any]:
    """Return what every part would take away."""
    collect_traces(settings, record)
    lines = sum(line["document_id"] == record.document_id for line in landed_lines(settings))
    return {
        "document_id": record.document_id,
        "landing_lines": lines,
        "landing_objects": record.objects,
        "shared_objects": record.shared_objects,
        "shared_with": record.shared_with,
        "rows": count_rows(settings.lake_root, record),
        "index_snapshots": target("serving.index.purge:snapshots_with")(settings, record.document_id),
        "files": files_with_traces(settings.home, record),
    }
