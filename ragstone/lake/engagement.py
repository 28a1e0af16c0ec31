"""How often each chunk and each document was shown, cited and judged: two silver tables, counted from the events.

What stands in the tables is a function of the events and of which chunks and documents live. A count appends only what
differs from the newest rows, so a count that was killed is done again by the next, and one that finds nothing new
writes nothing. A row has the time of the newest event it counts: no label sees an event before it happened.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pyarrow as pa

from ragstone.contracts.identity import stable_hash
from ragstone.contracts.state import newest_rows_sql, timestamp_literal
from ragstone.contracts.tables import (
    CHUNK_ENGAGEMENT,
    DOCUMENT_ENGAGEMENT,
    DOCUMENT_STATS,
    FEEDBACK,
    RETRIEVALS,
    SILVER_CHUNKS,
    TableSpec,
)
from ragstone.lake import read
from ragstone.lake.commits import content_version
from ragstone.lake.delta import ABSENT, commit_rows, ensure_table, table_id, table_version, transaction_version
from ragstone.lake.exposures import exposures_sql
from ragstone.lake.schema import arrow_schema

_COUNTED: Final = (RETRIEVALS, FEEDBACK, SILVER_CHUNKS, DOCUMENT_STATS)


@dataclass(frozen=True)
class _Entity:
    """What is counted for, and the table that tells whether it lives."""

    spec: TableSpec
    lives_in: TableSpec

    @property
    def key(self) -> str:
        return self.spec.keys[0]

    @property
    def counts(self) -> tuple[str, ...]:
        return tuple(name for name in self.spec.column_names if name.endswith("_count"))


_ENTITIES: Final = (_Entity(CHUNK_ENGAGEMENT, SILVER_CHUNKS), _Entity(DOCUMENT_ENGAGEMENT, DOCUMENT_STATS))


def count_engagement(root: Path, run_id: str) -> dict[str, int]:
    """Bring both tables up to the events and return how many rows that took, by table. Without events there is none.

    Costs one pass over all events when there is something new. Whoever calls holds the home's writer lock.
    """
    if table_version(root, RETRIEVALS) == ABSENT:
        return {}
    txn = _state_counted(root)
    return {entity.spec.name: _count(root, entity, txn, run_id) for entity in _ENTITIES}


def _state_counted(root: Path) -> tuple[str, int]:
    """Return the state of the counted tables as a transaction: versions only grow, so their sum tells them apart."""
    ids = [table_id(root, spec) or "none" for spec in _COUNTED]
    return stable_hash("engagement", *ids), sum(content_version(root, spec) for spec in _COUNTED)


def _count(root: Path, entity: _Entity, txn: tuple[str, int], run_id: str) -> int:
    counted = transaction_version(root, entity.spec, txn[0])
    if counted is not None and counted >= txn[1]:
        return 0
    changed = _changed(root, entity, run_id)
    ensure_table(root, entity.spec)
    commit_rows(root, entity.spec, changed, txn)
    return int(changed.num_rows)


def _changed(root: Path, entity: _Entity, run_id: str) -> pa.Table:
    sql = _CHANGED.format(
        exposures=exposures_sql(),
        key=entity.key,
        newest=newest_rows_sql(entity.spec, "rows_before"),
        lives=newest_rows_sql(entity.lives_in, "versions"),
        values=", ".join(f"CASE WHEN lives THEN coalesce({name}, 0) END AS {name}" for name in entity.counts),
        before=", ".join(f"{name} AS {name}_before" for name in entity.counts),
        differs=" OR ".join(f"{name} IS DISTINCT FROM {name}_before" for name in entity.counts),
        columns=", ".join(entity.spec.column_names),
        now=timestamp_literal(datetime.now(UTC)),
    )
    found = read.query(
        root,
        sql,
        (run_id,),
        retrievals=RETRIEVALS,
        feedback=FEEDBACK,
        chunks=SILVER_CHUNKS,
        versions=entity.lives_in,
        rows_before=entity.spec,
    )
    return found.cast(arrow_schema(entity.spec))


# A chunk belongs to one document for good, but its tombstone does not name it. Who lost its key to a purge lives no
# more. An event that is drained late has an earlier time than the row that misses it; the next row must not go back.
_CHANGED: Final = """
    WITH totals AS (
        SELECT {key},
               count(DISTINCT answer_id) AS shown_count,
               count(DISTINCT answer_id) FILTER (cited) AS cited_count,
               count(DISTINCT answer_id) FILTER (chosen) AS chosen_count,
               count(DISTINCT answer_id) FILTER (cited AND thumbs = 1) AS thumbs_up_count,
               count(DISTINCT answer_id) FILTER (cited AND thumbs = -1) AS thumbs_down_count,
               max(greatest(asked_at, judged_at)) AS newest_event
        FROM ({exposures})
        JOIN (SELECT chunk_id, min(document_id) AS document_id FROM chunks GROUP BY chunk_id) USING (chunk_id)
        GROUP BY {key}
    ),
    before AS (
        SELECT {key}, {before}, active AS active_before, event_timestamp AS event_before, created_timestamp AS written
        FROM ({newest})
    ),
    living AS (SELECT {key}, active AS lives_now, event_timestamp AS changed_at FROM ({lives})),
    wanted AS (
        SELECT *, coalesce(lives_now, FALSE) AND (newest_event IS NOT NULL OR coalesce(active_before, FALSE)) AS lives
        FROM totals FULL JOIN before USING ({key}) LEFT JOIN living USING ({key})
    ),
    valued AS (
        SELECT * EXCLUDE (shown_count, cited_count, chosen_count, thumbs_up_count, thumbs_down_count), {values}
        FROM wanted
    ),
    changed AS (
        SELECT *, lives AS active, ?::VARCHAR AS run_id,
               greatest(newest_event, event_before, CASE WHEN lives <> active_before THEN changed_at END)
                   AS event_timestamp,
               greatest({now}::TIMESTAMPTZ, written + INTERVAL 1 microsecond) AS created_timestamp
        FROM valued
        WHERE CASE WHEN active_before IS NULL THEN lives ELSE lives <> active_before OR {differs} END
    )
    SELECT {columns} FROM changed"""
