"""The labels of a training set: Arrow rows with keys and a time each, refused where Feast would guess."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import pyarrow as pa
import pyarrow.types as pat

from ragstone.runtime.errors import UsageError

TIME_COLUMN: Final = "event_timestamp"
_TIME_TYPE: Final = pa.timestamp("us", tz="UTC")


def checked_labels(labels: pa.Table, keys: Collection[str], features: Collection[str]) -> pa.Table:
    """Return labels with `event_timestamp` in microseconds and UTC.

    Raises UsageError when a key or the time is missing, when a time is null, naive or no time at all, and when a column
    has the name of a feature.
    """
    missing = sorted({*keys, TIME_COLUMN} - set(labels.column_names))
    if missing:
        raise _refused("columns are missing", got=labels.column_names, wanted=missing)
    taken = sorted(set(labels.column_names) & set(features))
    if taken:
        raise _refused("columns have the names of features", got=taken, wanted="other names")
    time = labels.column(TIME_COLUMN)
    if not pat.is_timestamp(time.type) or time.type.tz is None:
        # Taken as UTC in silence, a local time would see hours of the future.
        raise _refused("a time without zone may mean any moment", got=time.type, wanted="a timestamp with time zone")
    if time.null_count:
        raise _refused("times are null", got=f"{time.null_count} of {labels.num_rows}", wanted="a time for each label")
    position = labels.column_names.index(TIME_COLUMN)
    # Rounding up would let a label see rows up to a microsecond later than itself; the cast rounds down.
    return labels.set_column(position, pa.field(TIME_COLUMN, _TIME_TYPE), time.cast(_TIME_TYPE, safe=False))


def _refused(why: str, *, got: object, wanted: object) -> UsageError:
    return UsageError(f"the labels cannot be joined: {why}", where="labels", got=got, wanted=wanted)
