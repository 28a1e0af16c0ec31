"""Labels are refused by row and value, and nothing of a time is guessed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from ragstone.features.labels import check_rows, checked_labels, frame_labels
from ragstone.runtime.errors import UsageError
from tests.factories import at

UTC_TIME = pa.timestamp("us", tz="UTC")
INDIA = timezone(timedelta(hours=5, minutes=30))


def labels(times: Any, keys: list[str | None] | None = None) -> pa.Table:
    return pa.table({"chunk_id": keys or ["x"] * len(times), "event_timestamp": times})


def refused(table: pa.Table) -> UsageError:
    with pytest.raises(UsageError) as told:
        checked_labels(table, ["chunk_id"], [])
    return told.value


def test_null_times_are_told_by_row() -> None:
    told = refused(labels(pa.array([at(1), None, at(2), None], UTC_TIME)))

    assert told.where == "labels, column event_timestamp"
    assert told.got == "row 1: null, row 3: null"
    assert "2 of 4 rows" in told.what
    assert told.wanted
    assert told.next_step


def test_ten_bad_rows_are_shown_and_the_rest_is_counted() -> None:
    told = refused(labels(pa.array([None] * 1_013, UTC_TIME)))

    assert str(told.got).count("row ") == 10
    assert str(told.got).endswith("row 9: null, and 1,003 more")


def test_naive_times_of_a_column_are_told_by_row() -> None:
    told = refused(labels(pa.array([datetime(2026, 1, 1)], pa.timestamp("us"))))

    assert told.got == "row 0: 2026-01-01T00:00:00"


def test_times_as_text_keep_their_zone_and_those_without_are_told() -> None:
    good = ["2026-01-01T05:30:00+05:30", "2026-01-01 00:00:00Z", "2025-12-31T19:00:00.0000019-05:00"]

    found = checked_labels(labels(good), ["chunk_id"], [])["event_timestamp"]
    assert found.type == UTC_TIME
    assert found.to_pylist() == [at(0), at(0), at(0) + timedelta(microseconds=1)]
    assert refused(labels([*good, "2026-01-01", "soon"])).got == "row 3: '2026-01-01', row 4: 'soon'"


def test_one_naive_time_among_others_in_a_frame_is_told() -> None:
    times = [at(0).astimezone(INDIA), datetime(2026, 1, 1), at(1)]
    frame = pd.DataFrame({"chunk_id": list("abc"), "event_timestamp": pd.Series(times, dtype=object)})

    assert refused(frame_labels(frame)).got == "row 1: '2026-01-01T00:00:00'"


def test_times_of_several_zones_in_a_frame_are_the_moments_they_were() -> None:
    times = [at(0).astimezone(INDIA), at(1)]
    frame = pd.DataFrame({"chunk_id": list("ab"), "event_timestamp": pd.Series(times, dtype=object)})

    assert checked_labels(frame_labels(frame), ["chunk_id"], [])["event_timestamp"].to_pylist() == [at(0), at(1)]


def test_nulls_of_every_kind_in_a_frame_are_told() -> None:
    times = pd.Series([None, pd.NaT, float("nan"), at(0)], dtype=object)
    told = refused(frame_labels(pd.DataFrame({"chunk_id": list("abcd"), "event_timestamp": times})))

    assert told.got == "row 0: null, row 1: null, row 2: null"


def test_null_keys_are_told_by_row() -> None:
    table = checked_labels(labels(pa.array([at(1), at(2)], UTC_TIME), ["a", None]), ["chunk_id"], [])

    with pytest.raises(UsageError, match="row 1: null") as told:
        check_rows(table, ["chunk_id"], at(9))
    assert told.value.where == "labels, column chunk_id"


def test_times_later_than_now_are_told_and_now_is_not() -> None:
    times = pa.array([at(1), at(9), at(9) + timedelta(microseconds=1)], UTC_TIME)

    with pytest.raises(UsageError) as told:
        check_rows(checked_labels(labels(times), ["chunk_id"], []), ["chunk_id"], at(9))
    assert told.value.got == "row 2: 2026-01-01T00:09:00.000001+00:00"


def test_labels_without_rows_pass_whatever_the_type_of_nothing() -> None:
    nothing = checked_labels(pa.table({"chunk_id": pa.nulls(0), "event_timestamp": pa.nulls(0)}), ["chunk_id"], [])

    assert nothing.schema.field("event_timestamp").type == UTC_TIME
    check_rows(nothing, ["chunk_id"], at(0))
