"""The same labels from every kind of source; what cannot be read tells what it is."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from ragstone.features.label_sources import read_labels
from ragstone.features.labels import checked_labels
from ragstone.runtime.errors import BadInputError, ConfigError, DependencyUnavailableError, UsageError
from tests.factories import at

INDIA = timezone(timedelta(hours=5, minutes=30))
LABELS = pa.table(
    {
        "chunk_id": ["0012", "1e5", "b"],
        "event_timestamp": pa.array([at(1), at(2), at(1)], pa.timestamp("us", tz="UTC")),
        "relevant": [1, 0, 1],
    }
)


def parquet(folder: Path) -> Path:
    pq.write_table(LABELS, folder / "labels.parquet")
    return folder / "labels.parquet"


def csv(folder: Path) -> Path:
    lines = [f"{row['chunk_id']},{row['event_timestamp'].astimezone(INDIA)},{row['relevant']}" for row in rows()]
    (folder / "labels.csv").write_text("\n".join(["chunk_id,event_timestamp,relevant", *lines]))
    return folder / "labels.csv"


def delta(folder: Path) -> str:
    write_deltalake(folder / "labels", LABELS)
    return str(folder / "labels")


def rows() -> list[dict[str, Any]]:
    return LABELS.to_pylist()


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "labels.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE labels (chunk_id TEXT, event_timestamp TEXT, relevant INTEGER)")
        values = [(row["chunk_id"], row["event_timestamp"].isoformat(), row["relevant"]) for row in rows()]
        connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", values)
    connection.close()
    monkeypatch.setenv("LABELS_URL", f"sqlite:///{path}")
    return path


@pytest.mark.parametrize(
    "source",
    [lambda _: LABELS, lambda _: LABELS.to_pandas(), lambda _: pl.from_arrow(LABELS), parquet, csv, delta],
    ids=["arrow", "pandas", "polars", "parquet", "csv", "delta"],
)
def test_every_source_gives_the_same_labels(source: Any, tmp_path: Path) -> None:
    found = checked_labels(read_labels(source(tmp_path)), ["chunk_id"], [])

    assert sorted(map(str, found.to_pylist())) == sorted(map(str, rows()))


@pytest.mark.usefixtures("database")
def test_a_query_gives_its_rows_in_its_order_colons_and_percents_as_they_stand() -> None:
    query = "sql: SELECT *, 'a:b %s' AS note FROM labels WHERE chunk_id NOT LIKE '%:x' ORDER BY relevant, chunk_id;"
    found = read_labels(query)

    assert found["chunk_id"].to_pylist() == ["1e5", "0012", "b"]
    assert found["note"].to_pylist() == ["a:b %s"] * 3
    assert checked_labels(found, ["chunk_id"], [])["event_timestamp"].to_pylist() == [at(2), at(1), at(1)]


@pytest.mark.usefixtures("database")
def test_a_query_without_rows_gives_its_columns() -> None:
    found = read_labels("sql:SELECT chunk_id, event_timestamp FROM labels WHERE relevant = 7")

    assert checked_labels(found, ["chunk_id"], []).num_rows == 0


def test_a_query_that_writes_is_refused(database: Path) -> None:
    with pytest.raises(ConfigError, match="readonly"):
        read_labels("sql:DELETE FROM labels")
    with sqlite3.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM labels").fetchone() == (3,)
    connection.close()


@pytest.mark.usefixtures("database")
def test_a_query_that_is_wrong_tells_how() -> None:
    with pytest.raises(ConfigError, match="no such table: none"):
        read_labels("sql:SELECT * FROM none")


def test_a_database_that_is_not_there_says_nothing_of_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELS_URL", "postgresql+psycopg://ann:hidden@127.0.0.1:1/labels")

    with pytest.raises(DependencyUnavailableError) as told:
        read_labels("sql:SELECT 1")
    assert "hidden" not in str(told.value)
    assert told.value.__suppress_context__


def test_an_address_in_an_argument_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="named, not written") as told:
        read_labels("sql:SELECT 1", database="postgresql://ann:hidden@host/labels")
    assert "hidden" not in str(told.value)


def test_csv_times_without_zone_are_refused_by_row(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("chunk_id,event_timestamp\na,2026-01-01T00:00:00Z\nb,2026-01-01T00:00:00\n,\n")

    found = read_labels(path)
    assert found["chunk_id"].to_pylist() == ["a", "b", None]
    with pytest.raises(UsageError, match="row 1: '2026-01-01T00:00:00'"):
        checked_labels(found.slice(0, 2), ["chunk_id"], [])


def test_naive_times_from_a_frame_stay_naive() -> None:
    frame = pd.DataFrame({"chunk_id": ["a"], "event_timestamp": [datetime(2026, 1, 1)]})

    for naive in (frame, pl.from_pandas(frame)):
        with pytest.raises(UsageError, match="row 0: 2026-01-01T00:00:00"):
            checked_labels(read_labels(naive), ["chunk_id"], [])


def test_what_is_no_source_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.parquet").write_bytes(b"none")

    for path, told in ((tmp_path, "without _delta_log"), (tmp_path / "no.csv", "nothing there")):
        with pytest.raises(BadInputError, match=told):
            read_labels(path)
    with pytest.raises(BadInputError, match=r"broken\.parquet"):
        read_labels(tmp_path / "broken.parquet")
    with pytest.raises(UsageError, match="list"):
        read_labels([1])  # type: ignore[arg-type]
