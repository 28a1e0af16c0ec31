"""How a table of an earlier version becomes what its TableSpec says: per table an ordered list of steps, as data.

A step is cheap and safe: it changes the table's log alone, never a row. What an earlier version looked like follows
from the steps, so each can be tested from where it starts. Whoever adds a nullable column to a TableSpec adds a step
here; columns are matched by name, so the new one may stand anywhere in the spec.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from ragstone.contracts.tables import BRONZE_DOCUMENTS, FEEDBACK, QUARANTINE, RETRIEVALS, TableSpec


@dataclass(frozen=True)
class AddColumn:
    """A nullable column of the TableSpec that earlier tables lack; it is null in their rows."""

    column: str


MIGRATIONS: Final[Mapping[str, tuple[AddColumn, ...]]] = {
    BRONZE_DOCUMENTS.name: (AddColumn("source_version"),),
    QUARANTINE.name: (AddColumn("resolution"), AddColumn("resolved_by"), AddColumn("note")),
    FEEDBACK.name: (AddColumn("corrected_answer"),),
    RETRIEVALS.name: (AddColumn("served_state"),),
}


def migrations(spec: TableSpec) -> tuple[AddColumn, ...]:
    """Return the steps that lead to a table's spec, oldest first."""
    return MIGRATIONS.get(spec.name, ())


def before_step(spec: TableSpec, number: int) -> TableSpec:
    """Return the spec as it was before step `number`, counted from 0, and every step after it."""
    added_later = {step.column for step in migrations(spec)[number:]}
    return replace(spec, columns=tuple(column for column in spec.columns if column.name not in added_later))
