"""Keeping tables small and quick: migrate, compact, cluster, vacuum, shorten the log. No row changes, no JVM is needed.

Small files become few large ones; chunks and vectors are put in the order they are looked up by. Spark's CLUSTER BY
would do the latter by itself, but it makes the table one that only Spark may write (writer features `clustering` and
`domainMetadata`), and deletes, purges and replays here write without Spark; so the order is made when files are
rewritten (Z-order of one column).

Nothing here needs old versions: the state of any past day is read from rows (`contracts/state.py`), and an index that
is rolled back to is checked against rows too. What needs the files of old versions is a reader that is at work, and a
step that follows the change feed from the version it has reached; files are kept for `retain_hours` for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from deltalake import DeltaTable

from ragstone.contracts.names import embedding_table
from ragstone.contracts.tables import SILVER_CHUNKS, TableSpec
from ragstone.lake.delta import ABSENT, open_table, table_path, table_version
from ragstone.lake.migrate import migrate, pending_migrations
from ragstone.lake.rewrite import seal
from ragstone.runtime.errors import UsageError

SHORTEST_RETENTION_HOURS: Final = 1
# Files are compacted into ones of this size; Delta's own default is ten times that, too much for one machine's memory.
_TARGET_BYTES: Final = 100 * 1024 * 1024
# Fewer than this are not worth a commit, and every run of the pipeline adds some.
_FEWEST_SMALL_FILES: Final = 4
_COMMITS_PER_CHECKPOINT: Final = 10


@dataclass(frozen=True)
class TableSize:
    """A table's files: `files` and `bytes` of its newest version, and `disk_bytes` of all its folder holds."""

    files: int
    bytes: int
    disk_bytes: int


@dataclass(frozen=True)
class TableMaintenance:
    """What maintenance did to a table, or would do: columns added, files rewritten, unneeded files removed."""

    table: str
    before: TableSize
    after: TableSize
    migrated: tuple[str, ...]
    rewritten_files: int
    removed_files: int


def maintain_table(root: Path, spec: TableSpec, retain_hours: int, *, dry_run: bool = False) -> TableMaintenance:
    """Maintain one table that exists; a second time, right after, changes nothing.

    Files that the newest version does not need are removed once they are older than `retain_hours`. With `dry_run`
    nothing is changed, and `after` is as before. Raises UsageError for a retention under an hour: a reader that has
    just opened the table would lose its files. Raises ContractError for a table that is not as its contract.
    """
    check_retention(retain_hours)
    migrated = pending_migrations(root, spec) if dry_run else migrate(root, spec)
    before = table_size(root, spec)
    if dry_run:
        small, unneeded = _to_compact(_table(root, spec)), _vacuum(root, spec, retain_hours, dry_run=True)
        return TableMaintenance(spec.name, before, before, tuple(migrated), len(small), len(unneeded))
    open_table(root, spec)
    seal(root, spec)
    rewritten = _compact(_table(root, spec), spec)
    removed = _vacuum(root, spec, retain_hours, dry_run=False)
    _shorten_log(root, spec)
    return TableMaintenance(
        spec.name, before, table_size(root, spec), tuple(migrated), rewritten, len(removed) + _remove_stray(root, spec)
    )


def check_retention(retain_hours: int) -> None:
    """Raise UsageError for a retention that would take files from readers that are at work."""
    if retain_hours < SHORTEST_RETENTION_HOURS:
        raise UsageError(
            "files must be kept for readers that are at work",
            got=f"--retain-hours {retain_hours}",
            wanted=f"at least {SHORTEST_RETENTION_HOURS}",
        )


def table_size(root: Path, spec: TableSpec) -> TableSize:
    """Return how many files and bytes a table has; zeros when it does not exist."""
    folder = table_path(root, spec)
    if table_version(root, spec) == ABSENT:
        return TableSize(0, 0, 0)
    sizes = _file_sizes(_table(root, spec))
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return TableSize(len(sizes), sum(sizes), disk)


def vacuum_now(root: Path, spec: TableSpec) -> int:
    """Remove at once every file the newest version does not need, and return how many went: for a purge alone."""
    return len(_vacuum(root, spec, 0, dry_run=False)) + _remove_stray(root, spec)


def clustered_by(spec: TableSpec) -> tuple[str, ...]:
    """Return the columns in whose order a table's rows are put, none for a table that keeps the order of writing."""
    if spec.name == SILVER_CHUNKS.name:
        return ("document_id",)
    return ("chunk_id",) if spec.name.startswith(embedding_table("")) else ()


def _table(root: Path, spec: TableSpec) -> DeltaTable:
    # Unchecked, so that a dry run can tell of a table that has yet to be migrated.
    return DeltaTable(str(table_path(root, spec)))


def _file_sizes(table: DeltaTable) -> list[int]:
    return list(map(int, pa.table(table.get_add_actions(flatten=True))["size_bytes"].to_pylist()))


def _to_compact(table: DeltaTable) -> Sequence[int]:
    small = [size for size in _file_sizes(table) if size < _TARGET_BYTES // 2]
    return small if len(small) >= _FEWEST_SMALL_FILES else []


def _compact(table: DeltaTable, spec: TableSpec) -> int:
    if not _to_compact(table):
        return 0
    columns = clustered_by(spec)
    if columns:
        done = table.optimize.z_order(list(columns), target_size=_TARGET_BYTES)
    else:
        done = table.optimize.compact(target_size=_TARGET_BYTES)
    return int(done["numFilesRemoved"])


def _vacuum(root: Path, spec: TableSpec, retain_hours: int, *, dry_run: bool) -> list[str]:
    # `full` also finds what a killed writer left, which no version names. Looked at first: a vacuum makes two versions.
    found = _table(root, spec).vacuum(retain_hours, dry_run=True, enforce_retention_duration=False, full=True)
    if dry_run or not found:
        return found
    return _table(root, spec).vacuum(retain_hours, dry_run=False, enforce_retention_duration=False, full=True)


def _shorten_log(root: Path, spec: TableSpec) -> None:
    """Write a checkpoint when many commits have come since the last, then drop commits beyond the log's retention."""
    table, log = _table(root, spec), table_path(root, spec) / "_delta_log"
    checkpoints = [int(path.name.split(".")[0]) for path in log.glob("*.checkpoint*.parquet")]
    if table.version() - max(checkpoints, default=0) >= _COMMITS_PER_CHECKPOINT:
        table.create_checkpoint()
    table.cleanup_metadata()


def _remove_stray(root: Path, spec: TableSpec) -> int:
    """Remove the checksums that Hadoop keeps of files which are gone; Delta does not know of them."""
    stray = [path for path in table_path(root, spec).rglob(".*.crc") if not path.with_name(path.name[1:-4]).exists()]
    for path in stray:
        path.unlink()
    return len(stray)
