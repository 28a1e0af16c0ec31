"""Which tables a lake has: those of the contract, and one table for each embedding space that was ever filled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from ragstone.contracts.names import embedding_table
from ragstone.contracts.tables import STATIC_TABLES, TableSpec, embeddings
from ragstone.lake.delta import ABSENT, table_version
from ragstone.runtime.errors import UsageError

# Columns and keys are the same in every space; what depends on the dimension stands in the table's own properties.
_ANY_DIM: Final = 0


def embedding_spaces(root: Path) -> list[TableSpec]:
    """Return the tables of all embedding spaces there are, by name, without their constraints."""
    prefix = embedding_table("")
    schema, _, stem = prefix.partition(".")
    spaces = sorted(folder.name.removeprefix(stem) for folder in (root / schema).glob(f"{stem}*") if folder.is_dir())
    return [replace(embeddings(space, _ANY_DIM), constraints={}) for space in spaces]


def present_tables(root: Path) -> list[TableSpec]:
    """Return every table that exists, those of the contract first."""
    return [spec for spec in (*STATIC_TABLES, *embedding_spaces(root)) if table_version(root, spec) != ABSENT]


def present_table(root: Path, name: str) -> TableSpec:
    """Return a table that exists by its name, such as silver.chunks. Raises UsageError."""
    known = {spec.name: spec for spec in present_tables(root)}
    if name not in known:
        raise UsageError("there is no such table", where=str(root), got=name, wanted=f"one of {', '.join(known)}")
    return known[name]
