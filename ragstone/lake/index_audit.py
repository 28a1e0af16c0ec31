"""What the gates of an index ask the lake: who wrote its rows and whether that was accepted, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from ragstone.contracts.state import NOW, AsOf, state_sql
from ragstone.contracts.tables import (
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    QUALITY_METRICS,
    QUALITY_RESULTS,
    SILVER_CHUNKS,
    TableSpec,
    embeddings,
)
from ragstone.lake import read
from ragstone.lake.quality_reports import FAILED, GATE
from ragstone.lake.vectors import narrowed

# A run that appends in several batches has a report of each: what a blocked one held was not appended, so that living
# rows are of one that was accepted, if there is any.
_UNACCEPTED: Final = f"""
    WITH judged AS (
        SELECT run_id, recorded_at, kind = '{GATE}' AND outcome = '{FAILED}' AS failed FROM results WHERE dataset = ?
        UNION ALL SELECT run_id, recorded_at, NOT accepted FROM metrics WHERE dataset = ?
    ),
    reports AS (SELECT run_id, NOT bool_or(failed) AS accepted FROM judged GROUP BY run_id, recorded_at),
    verdicts AS (SELECT run_id, bool_or(accepted) AS accepted FROM reports GROUP BY run_id)
    SELECT l.run_id, count(*) AS rows, v.run_id IS NOT NULL AS audited
    FROM ({{living}}) l LEFT JOIN verdicts v ON v.run_id = l.run_id
    WHERE v.accepted IS NOT TRUE GROUP BY ALL ORDER BY l.run_id"""


@dataclass(frozen=True)
class UnacceptedRows:
    """Living rows of one run that no quality report accepted: all blocked it, or, not `audited`, there is none."""

    dataset: str
    run_id: str
    rows: int
    audited: bool


@dataclass(frozen=True)
class LivingCounts:
    """Living chunks by what becomes of them in an index: in it, without an embedding, of a document that ended."""

    indexed: int
    no_embedding: int
    document_inactive: int

    @property
    def left_out(self) -> dict[str, int]:
        """Return the counts of those left out, by why; reasons that no chunk has are not in it."""
        counts = {"no_embedding": self.no_embedding, "document_inactive": self.document_inactive}
        return {reason: count for reason, count in counts.items() if count}


def unaccepted_rows(root: Path, space: str, dim: int, as_of: AsOf = NOW) -> list[UnacceptedRows]:
    """Return the living chunks and embeddings of each run whose audit of them was not accepted, ordered by run."""
    found = []
    for spec in (SILVER_CHUNKS, embeddings(space, dim)):
        slim = narrowed(spec, ("run_id",))
        rows = read.query(
            root,
            _UNACCEPTED.format(living=state_sql(slim, "history", as_of)),
            (spec.name, spec.name),
            history=spec,
            results=QUALITY_RESULTS,
            metrics=QUALITY_METRICS,
        )
        found += [UnacceptedRows(spec.name, **row) for row in rows.to_pylist()]
    return found


def living_counts(root: Path, space: str, dim: int, as_of: AsOf = NOW) -> LivingCounts:
    """Return how many living chunks there are of each kind: counted table by table, not by the join that builds."""
    chunks = read.state(root, SILVER_CHUNKS, as_of, columns=("chunk_id", "document_id"))
    embedded = _is_in(chunks["chunk_id"], _keys(root, embeddings(space, dim), as_of))
    alive = _is_in(chunks["document_id"], _keys(root, DOCUMENT_ACCESS, as_of))
    return LivingCounts(
        indexed=_count(pc.and_(embedded, alive)),
        no_embedding=_count(pc.invert(embedded)),
        document_inactive=_count(pc.and_(embedded, pc.invert(alive))),
    )


def living_documents(root: Path, as_of: AsOf = NOW) -> frozenset[str]:
    """Return the ids of the documents that live."""
    return frozenset(_keys(root, DOCUMENT_ACCESS, as_of).to_pylist())


def last_titles(root: Path, documents: Sequence[str]) -> dict[str, str]:
    """Return the newest title of each document that ever had one, by id, ended ones too."""
    wanted = pa.table({"document_id": pa.array(documents, pa.string())})
    sql = """
        SELECT document_id, arg_max(title, event_timestamp) AS title FROM stats
        WHERE title IS NOT NULL AND document_id IN (SELECT document_id FROM wanted) GROUP BY document_id"""
    found = read.query(root, sql, stats=DOCUMENT_STATS, wanted=wanted)
    return dict(zip(found["document_id"].to_pylist(), found["title"].to_pylist(), strict=True))


def _keys(root: Path, spec: TableSpec, as_of: AsOf) -> pa.ChunkedArray:
    return read.state(root, spec, as_of, columns=spec.keys)[spec.keys[0]]


def _is_in(values: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_in(values, value_set=known.combine_chunks())


def _count(flags: pa.ChunkedArray) -> int:
    return int(pc.sum(flags).as_py() or 0)
