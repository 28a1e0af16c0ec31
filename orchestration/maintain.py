"""Housekeeping of a home: its tables, the index snapshots nobody can roll back to any more, old reports and logs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from orchestration.runner import target
from ragstone.contracts.records import StepResult
from ragstone.lake.catalog import present_table, present_tables
from ragstone.lake.maintenance import TableMaintenance, check_retention, maintain_table
from ragstone.runtime.settings import Settings

STEP: Final = "maintain"
_DAY_S: Final = 86_400
# Written by runs and read by people: metrics.prom and redis.log are kept by whoever writes them.
_AGEING: Final = (("reports", "*.json"), ("reports", "*.html"), ("logs", "chunks-*.csv"))


@dataclass(frozen=True)
class Upkeep:
    """What to maintain and how much of the past to keep; `tables` None means all, and snapshots, reports and logs."""

    tables: tuple[str, ...] | None = None
    retain_hours: int = 168
    keep_days: int = 90
    dry_run: bool = False


@dataclass(frozen=True)
class Maintained:
    """What was done, or with `dry_run` would be: each table, the snapshots pruned, the old files removed."""

    tables: tuple[TableMaintenance, ...]
    snapshots: tuple[str, ...]
    files: tuple[str, ...]
    dry_run: bool


def maintain(settings: Settings, upkeep: Upkeep) -> Maintained:
    """Maintain a home; a second time, right after, changes nothing. Raises UsageError for an unknown table."""
    check_retention(upkeep.retain_hours)
    root = settings.lake_root
    chosen = upkeep.tables
    specs = present_tables(root) if chosen is None else [present_table(root, name) for name in chosen]
    tables = tuple(maintain_table(root, spec, upkeep.retain_hours, dry_run=upkeep.dry_run) for spec in specs)
    if chosen is not None:
        return Maintained(tables, (), (), upkeep.dry_run)
    snapshots = target("serving.index.publish:prune_alone")(settings, dry_run=upkeep.dry_run)
    old = sorted(_older_than(settings.home, upkeep.keep_days))
    if not upkeep.dry_run:
        _remove(old)
    return Maintained(tables, tuple(snapshots), tuple(str(path) for path in old), upkeep.dry_run)


def as_result(maintained: Maintained) -> StepResult:
    """Return what was done as ops.runs records it; the unit is tables."""
    touched = sum(bool(each.migrated or each.rewritten_files or each.removed_files) for each in maintained.tables)
    return StepResult(
        step=STEP,
        status="ok" if touched or maintained.snapshots or maintained.files else "unchanged",
        unit="tables",
        accepted=touched,
        unchanged=len(maintained.tables) - touched,
        details={"snapshots": len(maintained.snapshots), "files": len(maintained.files)},
    )


def _older_than(home: Path, days: int) -> Iterable[Path]:
    horizon = time.time() - days * _DAY_S
    for folder, pattern in _AGEING:
        yield from (path for path in (home / folder).glob(pattern) if path.stat().st_mtime < horizon)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
