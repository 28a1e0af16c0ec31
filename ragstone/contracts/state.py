"""The one as-of rule: which row of an append-only table counts at a time T.

The state at T is, per key, the row with the greatest (event_timestamp, created_timestamp) whose event_timestamp is
not after T; it is kept only if it is active, and on a tie the tombstone wins. Indexes, training sets, audits and
replays all read through this rule and no other, as SQL that both Spark and DuckDB run. It needs no Delta time
travel, so compacting and vacuuming a table changes nothing.

Two questions are asked of the past. *The corpus at T* is everything known by T: bound `known_by`. *What was served
at T* also leaves out rows that were written later, such as late arrivals: bound `written_by` to the index's build time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from ragstone.contracts.tables import TableSpec

# Fractions of a second are kept to the microsecond, the resolution of a Delta timestamp.
_LITERAL = "%Y-%m-%d %H:%M:%S.%f+00:00"


@dataclass(frozen=True)
class AsOf:
    """Bounds on what a reader may see; None leaves a bound open. Both are inclusive and must carry a time zone."""

    known_by: datetime | None = None
    written_by: datetime | None = None

    def condition(self) -> str:
        """Return the bounds as a SQL condition, `TRUE` when both are open."""
        bounds = (("event_timestamp", self.known_by), ("created_timestamp", self.written_by))
        return " AND ".join(f"{name} <= {timestamp_literal(at)}" for name, at in bounds if at is not None) or "TRUE"


NOW = AsOf()


def timestamp_literal(at: datetime) -> str:
    """Return a moment as a SQL literal that Spark and DuckDB read alike. Raises ValueError without a time zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone; every time in Ragstone is UTC")
    # Sessions of both engines run in UTC, where Spark's zoned and DuckDB's plain TIMESTAMP mean the same instant.
    return f"CAST('{at.astimezone(UTC).strftime(_LITERAL)}' AS TIMESTAMP)"


def newest_rows_sql(spec: TableSpec, relation: str, as_of: AsOf = NOW) -> str:
    """Return SQL for the newest row per key within the bounds, tombstones included: one row per key.

    `relation` is a table, view or parenthesised query that has the spec's columns. Columns come in the spec's order.
    """
    columns = ", ".join(spec.column_names)
    keys = ", ".join(spec.keys)
    return f"""
        SELECT {columns} FROM (
            SELECT {columns}, row_number() OVER (
                PARTITION BY {keys} ORDER BY event_timestamp DESC, created_timestamp DESC, active ASC
            ) AS row_rank
            FROM {relation} WHERE {as_of.condition()}
        ) WHERE row_rank = 1"""


def state_sql(spec: TableSpec, relation: str, as_of: AsOf = NOW) -> str:
    """Return SQL for the state within the bounds: the newest row per key, kept only if it is active."""
    return f"{newest_rows_sql(spec, relation, as_of)} AND active"
