"""bronze.documents held against the landing zone, batch by batch, and made equal to it where it differs.

Only whole batches are replayed, in one commit: readers see bronze as it was or as it shall be, and a replay that was
interrupted is simply run again. Batches that agree are not touched, so a second replay commits nothing. `run_id` and
every column the source knows come back as they were landed; `created_timestamp` alone tells when a row was written.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from deltalake import write_deltalake
from deltalake.exceptions import DeltaError

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read
from ragstone.lake.delta import append_rows, open_table, rows_to_table, table_version
from ragstone.lake.documents import bronze_batch, bronze_rows
from ragstone.lake.landing import LandingBatch, LandingZone
from ragstone.lake.rewrite import rewritable
from ragstone.runtime.errors import ContractError
from ragstone.runtime.settings import Settings

BUSINESS_COLUMNS: Final = tuple(name for name in BRONZE_DOCUMENTS.column_names if name != "created_timestamp")
_UNREADABLE: Final = (OSError, DeltaError, pa.ArrowInvalid, duckdb.Error)

_Hashes = Mapping[int, Counter[str]]


@dataclass(frozen=True)
class Replay:
    """What a replay found: `batches` of the interval with their `rows`; `missing` were appended, `wrong` replaced."""

    batches: int
    rows: int
    missing: tuple[int, ...]
    wrong: tuple[int, ...]
    written: int


def replay_landing(settings: Settings, start: datetime | None = None, end: datetime | None = None) -> Replay:
    """Make bronze equal to the landing batches with start <= fetched_at < end, up to the last one bronze has taken.

    Raises ContractError when bronze followed another landing zone, and when it cannot be read and only an interval was
    asked for: the rest of it could then not be kept.
    """
    root = settings.lake_root
    _check_same_landing(settings)
    batches = [batch for batch in _taken_over(settings) if _within(batch, start, end)]
    wanted = {batch.number: Counter(map(_row_hash, bronze_rows(batch))) for batch in batches}
    try:
        found = _found_hashes(root, list(wanted))
    except _UNREADABLE as unreadable:
        _refuse_interval(settings, start, end, unreadable)
        return _rewrite_all(settings, batches)
    differing = [batch for batch in batches if found.get(batch.number) != wanted[batch.number]]
    missing = tuple(batch.number for batch in differing if batch.number not in found)
    wrong = tuple(batch.number for batch in differing if batch.number in found)
    rows = [row for batch in differing for row in bronze_rows(batch)]
    _write(root, rows, [batch.number for batch in differing], replaces=bool(wrong))
    return Replay(len(batches), sum(len(batch.envelopes) for batch in batches), missing, wrong, len(rows))


def row_hashes(table: pa.Table) -> Counter[str]:
    """Return how often each row occurs, by a hash of its business columns: equal counters mean equal rows."""
    return Counter(_row_hash(row) for row in table.select(list(BUSINESS_COLUMNS)).to_pylist())


def _check_same_landing(settings: Settings) -> None:
    if bronze_batch(settings) == 0 and table_version(settings.lake_root, BRONZE_DOCUMENTS) > 0:
        raise ContractError(
            "bronze.documents was filled from another landing zone",
            where=str(settings.landing_root / "ID"),
            next_step="put the old landing zone back, or remove the lake folder and run the pipeline again",
        )


def _taken_over(settings: Settings) -> list[LandingBatch]:
    last = bronze_batch(settings)
    return [batch for batch in LandingZone(settings.landing_root).read_batches() if batch.number <= last]


def _within(batch: LandingBatch, start: datetime | None, end: datetime | None) -> bool:
    moment = batch.envelopes[0].fetched_at
    return (start is None or start <= moment) and (end is None or moment < end)


def _found_hashes(root: Path, numbers: Sequence[int]) -> _Hashes:
    rows = read.query(
        root,
        f"SELECT {', '.join(BUSINESS_COLUMNS)} FROM bronze WHERE list_contains(?::BIGINT[], landing_batch)",
        (list(numbers),),
        bronze=BRONZE_DOCUMENTS,
    )
    found: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for row in rows.to_pylist():
        found[row["landing_batch"]][_row_hash(row)] += 1
    return found


def _row_hash(row: Mapping[str, Any]) -> str:
    parts = [_canonical(row[name]) for name in BUSINESS_COLUMNS]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, Mapping):
        return sorted([name, text] for name, text in value.items())
    # Arrow gives a map as a list of pairs, in the order it was written.
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return sorted([name, text] for name, text in value)
    return value


def _write(root: Path, rows: Sequence[Mapping[str, Any]], numbers: Sequence[int], *, replaces: bool) -> None:
    if not rows:
        return
    now = datetime.now(UTC)
    stamped = [{**row, "created_timestamp": now} for row in rows]
    if not replaces:
        append_rows(root, BRONZE_DOCUMENTS, stamped)
        return
    data = rows_to_table(BRONZE_DOCUMENTS, stamped)
    with rewritable(root, BRONZE_DOCUMENTS) as table:
        named = ", ".join(str(number) for number in numbers)
        write_deltalake(table, data, mode="overwrite", predicate=f"landing_batch IN ({named})")


def _rewrite_all(settings: Settings, batches: Sequence[LandingBatch]) -> Replay:
    now = datetime.now(UTC)
    rows = [{**row, "created_timestamp": now} for batch in batches for row in bronze_rows(batch)]
    with rewritable(settings.lake_root, BRONZE_DOCUMENTS) as table:
        # Without a condition nothing of what was there is read.
        write_deltalake(table, rows_to_table(BRONZE_DOCUMENTS, rows), mode="overwrite")
    return Replay(len(batches), len(rows), (), tuple(batch.number for batch in batches), len(rows))


def _refuse_interval(settings: Settings, start: datetime | None, end: datetime | None, unreadable: Exception) -> None:
    # A log that cannot be opened is beyond a rewrite; this raises what is wrong with it.
    open_table(settings.lake_root, BRONZE_DOCUMENTS)
    if start is not None or end is not None:
        raise ContractError(
            "bronze.documents cannot be read, so an interval of it cannot be rebuilt; nothing was written",
            where=str(settings.lake_root / BRONZE_DOCUMENTS.path),
            got=unreadable,
            next_step="ragstone rebuild-bronze, without --from and --to",
        ) from unreadable
