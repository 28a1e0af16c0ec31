"""The labels of a training set: Arrow rows with keys and a time each, refused where Feast would guess."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from ragstone.runtime.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

TIME_COLUMN: Final = "event_timestamp"
_TIME_TYPE: Final = pa.timestamp("us", tz="UTC")
_SHOWN: Final = 10


def checked_labels(labels: pa.Table, keys: Collection[str], features: Collection[str]) -> pa.Table:
    """Return labels with `event_timestamp` in microseconds and UTC; times as text are ISO 8601 with their zone.

    Raises UsageError when a key or the time is missing, when a time is null, naive or no time at all, and when a column
    has the name of a feature. Bad rows are told by their number, from 0, and their value.
    """
    missing = sorted({*keys, TIME_COLUMN} - set(labels.column_names))
    if missing:
        raise _refused("columns are missing", got=labels.column_names, wanted=missing)
    taken = sorted(set(labels.column_names) & set(features))
    if taken:
        raise _refused("columns have the names of features", got=taken, wanted="other names")
    position = labels.column_names.index(TIME_COLUMN)
    return labels.set_column(position, pa.field(TIME_COLUMN, _TIME_TYPE), _times(labels.column(TIME_COLUMN)))


def check_rows(labels: pa.Table, keys: Collection[str], now: datetime) -> None:
    """Raise UsageError for labels, as `checked_labels` returned them, with a null key or a time later than `now`."""
    for key in keys:
        refuse_rows("keys are null", key, labels[key], _where(pc.is_null(labels[key])), wanted="a key for each label")
    later = _where(pc.greater(labels[TIME_COLUMN], pa.scalar(now, _TIME_TYPE)))
    wanted = f"none later than now, {now.isoformat()}"
    refuse_rows("times are in the future", TIME_COLUMN, labels[TIME_COLUMN], later, wanted=wanted)


def refuse_rows(why: str, column: str, values: pa.ChunkedArray, rows: list[int], *, wanted: object) -> None:
    """Raise UsageError that names bad rows, at most ten with their values and the count of the rest, if there is any.

    `rows` are numbers from 0 in ascending order.
    """
    if rows:
        raise _bad_rows(why, column, values, rows, wanted)


def frame_labels(frame: pd.DataFrame) -> pa.Table:
    """Return a pandas frame as Arrow, without its index.

    Arrow takes a naive time among others for UTC, so single times are handed on as text, for `checked_labels` to judge.
    """
    if TIME_COLUMN in frame.columns and frame[TIME_COLUMN].dtype == object:
        frame = frame.assign(**{TIME_COLUMN: times_as_text(frame[TIME_COLUMN])})
    return pa.Table.from_pandas(frame, preserve_index=False)


def times_as_text(times: Iterable[Any]) -> list[Any]:
    """Return single times as ISO 8601, with a zone where they have one; null where there is none."""
    found = [time.isoformat() if isinstance(time, datetime) else time for time in times]
    # Pandas' own null is a datetime, but has no digits.
    return [None if time is None or time != time or time == "NaT" else time for time in found]


def _times(times: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = times.type
    null = _where(pc.is_null(times))
    refuse_rows("times are null", TIME_COLUMN, times, null, wanted="a time for each label")
    if pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind):
        return _parsed(times)
    if len(times) == 0 and pat.is_null(kind):
        return times.cast(_TIME_TYPE)
    if not pat.is_timestamp(kind) or kind.tz is None:
        # Taken as UTC in silence, a local time would see hours of the future.
        raise _no_zone(times, list(range(len(times))), f"a timestamp with time zone, not {kind}")
    # Rounding up would let a label see rows up to a microsecond later than itself; the cast rounds down.
    return times.cast(_TIME_TYPE, safe=False)


def _parsed(times: pa.ChunkedArray) -> pa.ChunkedArray:
    found = [_moment(text) for text in times.to_pylist()]
    bad = [row for row, moment in enumerate(found) if moment is None]
    if bad:
        raise _no_zone(times, bad, "ISO 8601 with zone, such as 2026-01-01T09:30:00+01:00")
    return pa.chunked_array([pa.array(found, _TIME_TYPE)])


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
        return None if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _no_zone(times: pa.ChunkedArray, rows: list[int], wanted: str) -> UsageError:
    return _bad_rows("a time without zone may mean any moment", TIME_COLUMN, times, rows, wanted)


def _bad_rows(why: str, column: str, values: pa.ChunkedArray, rows: list[int], wanted: object) -> UsageError:
    shown = [f"row {row}: {_text(values[row].as_py())}" for row in rows[:_SHOWN]]
    more = [f"and {len(rows) - _SHOWN:,} more"] if len(rows) > _SHOWN else []
    told = f"{why}, in {len(rows):,} of {len(values):,} rows"
    return _refused(told, column, got=", ".join(shown + more), wanted=wanted)


def _where(mask: pa.ChunkedArray) -> list[int]:
    rows: list[int] = pc.indices_nonzero(mask).to_pylist()
    return rows


def _text(value: Any) -> str:
    return "null" if value is None else value.isoformat() if isinstance(value, datetime) else repr(value)


def _refused(why: str, column: str | None = None, *, got: object, wanted: object) -> UsageError:
    return UsageError(
        f"the labels cannot be joined: {why}",
        where="labels" if column is None else f"labels, column {column}",
        got=got,
        wanted=wanted,
        next_step="correct the labels and pull again; nothing was written",
    )
