"""A few documents, read and cut in the driver, and any number that need no reading: tombstones, and new descriptions.

Delta holds their rows against its constraints as it does Spark's. Only where chunks have changed is a JVM started, for
Deequ's verdict on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from ragstone.contracts.state import newest_rows_sql
from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS, SILVER_DOCUMENTS, TableSpec
from ragstone.lake import read
from ragstone.lake.chunk_counts import chunk_count_facts
from ragstone.lake.delta import rows_to_table
from ragstone.lake.pending_documents import DocumentState, known_chunks
from ragstone.runtime.settings import Settings
from spark_jobs.document_batch import Appends, Summary, chunk_counts
from spark_jobs.document_versions import Writing, read_version

_PARENTS: Final = pa.schema([(name, pa.string()) for name in ("document_id", "source", "language")])
_COUNTED: Final = ("title", "language", "char_count", "chunk_count", "token_count")


class VersionsHere:
    """Documents as they were read here, as rows."""

    def __init__(self, settings: Settings, run_id: str, versions: Sequence[Mapping[str, Any]]) -> None:
        self._settings, self._run_id, self._versions = settings, run_id, versions
        self.summaries: Mapping[str, Summary] = {version["document_id"]: _summary(version) for version in versions}

    @classmethod
    def read(cls, settings: Settings, states: Sequence[DocumentState], writing: Writing) -> VersionsHere:
        """Read, one after another, the documents that have to be read, and describe the others anew."""
        root = settings.lake_root
        to_read = [state for state in states if not state.text_stands]
        known = known_chunks(root, [state.document_id for state in to_read])
        versions = [
            read_version({**vars(state), "known": known.get(state.document_id, ())}, writing) for state in to_read
        ]
        return cls(settings, writing.run_id, versions + _described_anew(settings, states, writing))

    def append_chunks(self, appends: Appends) -> tuple[set[str], str | None]:
        """Audit and append the chunk rows that differ, as `Versions` says."""
        rows = [row for version in self._versions for row in version["chunks"]]
        living = [row for row in rows if row["active"]]
        rejected, ruleset_hash = self._audited(appends.step, living) if living else (set(), None)
        appends.append(SILVER_CHUNKS, [row for row in rows if not row["active"] or row["chunk_id"] not in rejected])
        return rejected, ruleset_hash

    def append_documents(self, appends: Appends) -> None:
        """Append the rows of silver.documents, as `Versions` says."""
        appends.append(SILVER_DOCUMENTS, [version["document"] for version in self._versions if version.get("document")])

    def _audited(self, step: str, chunks: Sequence[Mapping[str, Any]]) -> tuple[set[str], str]:
        """Return the ids of the chunks that Deequ has set aside, and the identity of the rules."""
        # Only here, because importing pyspark costs a second that tombstones should not pay.
        from spark_jobs.driver_frames import driver_frame
        from spark_jobs.quality.audit import audit_candidates
        from spark_jobs.session import open_session

        spark = open_session(self._settings)
        candidates = driver_frame(spark, rows_to_table(SILVER_CHUNKS, chunks))
        documents = [version["document"] for version in self._versions if (version.get("document") or {}).get("active")]
        parents = driver_frame(spark, pa.Table.from_pylist(documents, _PARENTS))
        facts = chunk_count_facts(self._settings.lake_root, chunk_counts(self.summaries))
        outcome = audit_candidates(spark, self._settings, self._run_id, step, SILVER_CHUNKS, candidates, parents, facts)
        return {key for (key,) in outcome.rejected_keys}, outcome.ruleset_hash


def _described_anew(settings: Settings, states: Sequence[DocumentState], writing: Writing) -> list[dict[str, Any]]:
    """Return the versions of documents whose text stands: their rows, with what the source says of them now."""
    root, described = settings.lake_root, {state.document_id: state for state in states if state.text_stands}
    if not described:
        return []
    stats = _newest(root, DOCUMENT_STATS, described)
    counted = {row["document_id"]: {name: row[name] for name in _COUNTED} for row in stats}
    rows = _newest(root, SILVER_DOCUMENTS, described)
    return [{**counted[row["document_id"]], **_described(row, described[row["document_id"]], writing)} for row in rows]


def _newest(root: Path, spec: TableSpec, document_ids: Iterable[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read.query(
        root,
        f"SELECT * FROM ({newest_rows_sql(spec, 'history')}) WHERE document_id IN (SELECT document_id FROM wanted)",
        history=spec,
        wanted=pa.table({"document_id": pa.array(document_ids, pa.string())}),
    ).to_pylist()
    return rows


def _described(row: Mapping[str, Any], state: DocumentState, writing: Writing) -> dict[str, Any]:
    document = {
        **row,
        "source_modified_at": state.source_modified_at,
        "event_timestamp": state.event_timestamp,
        "created_timestamp": writing.created_at,
        "run_id": writing.run_id,
    }
    return {"document_id": state.document_id, "document": document, "chunks": [], "changed_chunks": 0}


def _summary(version: Mapping[str, Any]) -> Summary:
    facts: dict[str, Any] = {name: version.get(name) for name in Summary.__dataclass_fields__}
    return Summary(**facts)
