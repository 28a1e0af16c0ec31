"""A document in the lake's tables: its rows rewritten or deleted, and no file left that still has them.

Rows are found by ids in the tables that are keyed by documents and chunks, and by traces of the text in the others:
quarantine, events, ops. Constraints and recorded transactions stay. Without a JVM.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from deltalake import DeltaTable

from ragstone.contracts.tables import (
    BRONZE_DOCUMENTS,
    CHUNK_ENGAGEMENT,
    DOCUMENT_ACCESS,
    DOCUMENT_ENGAGEMENT,
    DOCUMENT_STATS,
    RUNS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
    TableSpec,
)
from ragstone.lake import read
from ragstone.lake.catalog import embedding_spaces, present_tables
from ragstone.lake.delta import open_table
from ragstone.lake.maintenance import vacuum_now
from ragstone.lake.purge_landing import KEPT_FIELDS, purged_uri
from ragstone.lake.purge_record import PurgeRecord
from ragstone.lake.rewrite import rewritable, seal
from ragstone.runtime.traces import leaves

_PURGED: Final = "[purged]"
_KEPT_IN_BRONZE: Final = (*KEPT_FIELDS, "landing_batch", "created_timestamp")


def purge_tables(root: Path, record: PurgeRecord) -> dict[str, int]:
    """Take a document out of every table and return how many rows went or were blanked, by table."""
    by_id = dict(_conditions(root, record))
    found: dict[str, int] = {}
    for spec in present_tables(root):
        if spec == BRONZE_DOCUMENTS:
            found[spec.name] = _blank_bronze(root, record.document_id)
        elif spec.name in by_id:
            found[spec.name] = _delete(root, spec, by_id[spec.name])
        elif spec == RUNS:
            found[spec.name] = _blank_runs(root, record)
        else:
            found[spec.name] = _delete_matching(root, spec, record)
        seal(root, spec)
        vacuum_now(root, spec)
    return found


def count_rows(root: Path, record: PurgeRecord) -> dict[str, int]:
    """Return how many rows of each table `purge_tables` would delete or blank."""
    by_id = {**dict(_conditions(root, record)), BRONZE_DOCUMENTS.name: f"document_id = '{record.document_id}'"}
    counted = {}
    for spec in present_tables(root):
        if spec.name in by_id:
            counted[spec.name] = _count(root, spec, by_id[spec.name])
        else:
            counted[spec.name] = sum(1 for _ in _matching(root, spec, record))
    return counted


def _conditions(root: Path, record: PurgeRecord) -> Iterator[tuple[str, str]]:
    document = f"document_id = '{record.document_id}'"
    chunks = f"chunk_id IN ({', '.join(map(_literal, record.chunk_ids)) or 'NULL'})"
    yield SILVER_DOCUMENTS.name, document
    yield DOCUMENT_STATS.name, document
    yield DOCUMENT_ENGAGEMENT.name, document
    yield CHUNK_ENGAGEMENT.name, chunks
    # Who could read it once goes; that it is dead stays, so that nothing takes it for new.
    yield DOCUMENT_ACCESS.name, f"{document} AND active"
    yield SILVER_CHUNKS.name, f"{document} OR {chunks}"
    for spec in embedding_spaces(root):
        yield spec.name, chunks


def _delete(root: Path, spec: TableSpec, condition: str) -> int:
    count = _count(root, spec, condition)
    if count:
        with rewritable(root, spec) as table:
            table.delete(condition)
    return count


def _count(root: Path, spec: TableSpec, condition: str) -> int:
    return int(read.query(root, f"SELECT count(*) AS rows FROM t WHERE {condition}", t=spec)["rows"][0].as_py())


def _blank_bronze(root: Path, document_id: str) -> int:
    """Make every row of the document the tombstone that its line in the landing log becomes."""
    uri = purged_uri(document_id)
    condition = f"document_id = '{document_id}' AND source_uri <> '{uri}'"
    count = _count(root, BRONZE_DOCUMENTS, condition)
    if count:
        blank = {name: "NULL" for name in BRONZE_DOCUMENTS.column_names if name not in _KEPT_IN_BRONZE}
        with rewritable(root, BRONZE_DOCUMENTS) as table:
            table.update(predicate=condition, updates={**blank, "source_uri": f"'{uri}'", "change": "'deleted'"})
    return count


def _blank_runs(root: Path, record: PurgeRecord) -> int:
    """Blank what runs told of the document; the rows stay, for they say up to where each step has come."""
    rows = list(_matching(root, RUNS, record))
    if rows:
        with rewritable(root, RUNS) as table:
            for row in rows:
                error = "NULL" if row["error"] is None else f"'{_PURGED}'"
                table.update(predicate=_is_row(RUNS, row), updates={"details": "'{}'", "error": error})
    return len(rows)


def _delete_matching(root: Path, spec: TableSpec, record: PurgeRecord) -> int:
    rows = list(_matching(root, spec, record))
    if rows:
        with rewritable(root, spec) as table:
            _delete_rows(table, spec, rows)
    return len(rows)


def _delete_rows(table: DeltaTable, spec: TableSpec, rows: Iterable[Mapping[str, Any]]) -> None:
    # The condition is written into the log: a table is told of its rows by ids alone.
    table.delete(" OR ".join(sorted({f"({_is_row(spec, row)})" for row in rows})))


def _matching(root: Path, spec: TableSpec, record: PurgeRecord) -> Iterator[dict[str, Any]]:
    """Yield the rows that are of the document or of an answer that cites it, or that have a trace of its text."""
    table, answers = open_table(root, spec), set(record.answer_ids)
    if table is None:
        return
    for batch in table.to_pyarrow_dataset().to_batches():
        for row in batch.to_pylist():
            is_own = row.get("document_id") == record.document_id or row.get("answer_id") in answers
            if is_own or any(map(record.traces.match, leaves(row))):
                yield row


def _is_row(spec: TableSpec, row: Mapping[str, Any]) -> str:
    # A rule is told as it was written, never by what it was applied to.
    return " AND ".join(f"{name} = {_literal(row[name])}" for name in spec.keys)


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
