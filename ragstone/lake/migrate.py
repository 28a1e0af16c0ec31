"""Bringing tables of an earlier version up to their contract, by the declared steps alone.

Each step is one commit to the table's log, so a run that dies between two leaves a table that the next one finishes;
rows, constraints and recorded transactions stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from deltalake import DeltaTable, Schema
from deltalake.exceptions import DeltaError

from ragstone.contracts.migrations import migrations
from ragstone.contracts.tables import TableSpec
from ragstone.lake.delta import table_path
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.logging import get_logger

_log = get_logger(__name__)


def pending_migrations(root: Path, spec: TableSpec) -> list[str]:
    """Return the declared columns that a table lacks, in the order of their steps; none for a missing table."""
    # Tables without a declared step, and those are most, are not even opened.
    if not migrations(spec) or not DeltaTable.is_deltatable(str(table_path(root, spec))):
        return []
    return _lacking(DeltaTable(str(table_path(root, spec))), spec)


def migrate(root: Path, spec: TableSpec) -> list[str]:
    """Apply the steps a table lacks and return the columns it gained; another process may do the same meanwhile."""
    added = []
    for name in pending_migrations(root, spec):
        table = DeltaTable(str(table_path(root, spec)))
        try:
            table.alter.add_columns(Schema.from_arrow(arrow_schema(spec)).fields[spec.column_names.index(name)])
        except DeltaError:
            if name in pending_migrations(root, spec):
                raise
        added.append(name)
        _log.info("table migrated", table=spec.name, added_column=name)
    return added


def migrate_all(root: Path, specs: Iterable[TableSpec]) -> dict[str, list[str]]:
    """Migrate tables and return the columns that were added, by table; tables that needed nothing are left out."""
    return {spec.name: added for spec in specs if (added := migrate(root, spec))}


def _lacking(table: DeltaTable, spec: TableSpec) -> list[str]:
    found = {field.name for field in table.schema().fields}
    return [step.column for step in migrations(spec) if step.column not in found]
