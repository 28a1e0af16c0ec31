"""Training sets pulled from labels of any kind; bad rows are named before anything is joined."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragstone.features import TrainingSets
from ragstone.features.apply import apply
from ragstone.features.training_outputs import to_pandas, to_polars
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings
from tests.factories import at
from tests.ragstone.features.lake import DEAD, KEPT, write_history

CHUNK, JUDGED = KEPT["chunk_id"], at(25)


@pytest.fixture
def sets(served: Settings) -> TrainingSets:
    write_history(served)
    apply(served)
    return TrainingSets(served)


def labels(*keys: str | None, time: datetime = JUDGED) -> pa.Table:
    return pa.table({"chunk_id": keys, "event_timestamp": pa.array([time] * len(keys), pa.timestamp("us", tz="UTC"))})


def test_a_csv_gives_the_set_that_its_rows_give_as_arrow(sets: TrainingSets, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"chunk_id,event_timestamp\n{CHUNK},2026-01-01T05:55:00+05:30\n")

    assert sets.pull(path).table.equals(sets.pull(labels(CHUNK)).table)


def test_a_set_from_parquet_is_pulled_again_from_its_manifest_alone(sets: TrainingSets, tmp_path: Path) -> None:
    pq.write_table(labels(CHUNK), tmp_path / "labels.parquet")
    found = sets.pull(tmp_path / "labels.parquet")
    found.write(tmp_path / "set.parquet")

    assert sets.from_manifest(tmp_path / "set.parquet").table.equals(found.table)


def test_unknown_entities_are_told_by_row_unless_they_are_kept(sets: TrainingSets) -> None:
    given = labels(CHUNK, "no such chunk", DEAD["chunk_id"])

    with pytest.raises(UsageError, match="unknown") as told:
        sets.pull(given)
    assert (told.value.where, told.value.got) == ("labels, column chunk_id", "row 1: 'no such chunk'")
    assert sets.pull(given, keep_unknown=True).table["text"].to_pylist() == ["kept text", None, None]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (labels(CHUNK, None), "row 1: null"),
        (labels(CHUNK, time=datetime.now(UTC) + timedelta(days=1)), "in the future"),
        (pd.DataFrame({"chunk_id": [CHUNK], "event_timestamp": [datetime(2026, 1, 1)]}), "zone"),
        (pd.DataFrame({"chunk_id": [CHUNK], "event_timestamp": pd.to_datetime([None], utc=True)}), "row 0: null"),
    ],
    ids=["null key", "future", "naive", "null time"],
)
def test_bad_rows_are_refused(sets: TrainingSets, given: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        sets.pull(given)


def test_frames_hold_the_rows_and_keep_integers_beside_nulls(sets: TrainingSets) -> None:
    found = sets.pull(labels(CHUNK, DEAD["chunk_id"]))
    pandas, polars = to_pandas(found), to_polars(found)

    assert (str(pandas["ordinal"].dtype), str(polars["ordinal"].dtype)) == ("Int32", "Int32")
    assert pandas["ordinal"].isna().tolist() == [False, True]
    assert polars["ordinal"].to_list() == found.table["ordinal"].to_pylist() == [7, None]
    assert polars["embedding"].to_list() == found.table["embedding"].to_pylist()


def test_importing_the_package_brings_no_feast() -> None:
    told = "import sys, ragstone.features; print('feast' in sys.modules or 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"
