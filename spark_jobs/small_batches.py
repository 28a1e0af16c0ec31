"""When a batch is worked on in the driver: spreading a few rows over workers costs more than working on them.

A Python worker takes a second of processor time to start, a Spark action tenths of one, whatever it is given. A small
batch is read, cut and encoded by the same functions here as there, and Delta refuses the same rows; only Deequ's
verdicts still need Spark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ragstone.contracts.tables import TableSpec
from ragstone.lake.delta import ABSENT, table_version

# One core does these in seconds, which is what a second core could save at most.
MAX_ENVELOPES: Final = 10_000
MAX_DOCUMENTS: Final = 256
MAX_CONTENT_BYTES: Final = 8_000_000
MAX_TEXTS: Final = 256
MAX_ROWS: Final = 4_096


def exist(root: Path, *tables: TableSpec) -> bool:
    """Return whether tables exist: one with constraints can only be created by Spark."""
    return all(table_version(root, table) != ABSENT for table in tables)
