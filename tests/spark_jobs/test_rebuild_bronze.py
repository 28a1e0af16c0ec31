"""Rebuilding bronze: what needs no table, and a table that is gone."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read
from ragstone.lake.delta import open_table
from ragstone.lake.documents import bronze_batch
from ragstone.lake.landing import LandingZone
from ragstone.lake.replay import row_hashes
from ragstone.runtime.errors import UsageError
from spark_jobs.rebuild_bronze import rebuild_bronze
from tests.factories import make_envelope

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_an_empty_interval_is_refused(settings):
    with pytest.raises(UsageError, match="the interval is empty"):
        rebuild_bronze(settings, "run", NOON, NOON)


def test_an_interval_of_a_table_that_is_gone_is_refused(settings):
    with pytest.raises(UsageError, match="only be rebuilt as a whole"):
        rebuild_bronze(settings, "run", start=NOON)


def test_without_anything_landed_there_is_nothing_to_rebuild(settings):
    assert rebuild_bronze(settings, "run").status == "unchanged"


@pytest.mark.spark
def test_a_table_that_is_gone_comes_back_with_its_rows_its_constraints_and_its_place_in_the_log(settings, spark):
    from spark_jobs.bronze import follow_landing

    landing = LandingZone(settings.landing_root)
    landing.append_batch(
        [make_envelope("a.md", source_metadata={"k": "v"}), make_envelope("b.md", acl=("board",))], "r1"
    )
    landing.append_batch([make_envelope("a.md", "deleted")], "r2")
    follow_landing(settings, [1])
    follow_landing(settings, [2])
    original, configuration = _rows(settings), _configuration(settings)

    shutil.rmtree(settings.lake_root / BRONZE_DOCUMENTS.path)
    found = rebuild_bronze(settings, "run")

    assert (found.status, found.written, found.unchanged) == ("ok", 3, 0)
    assert _rows(settings) == original
    assert _configuration(settings) == configuration
    assert bronze_batch(settings) == 2
    # Rows that Spark wrote and rows as they were landed are held equal by the next one.
    assert rebuild_bronze(settings, "run").status == "unchanged"


def _rows(settings):
    return row_hashes(read.query(settings.lake_root, "SELECT * FROM t", t=BRONZE_DOCUMENTS))


def _configuration(settings):
    return open_table(settings.lake_root, BRONZE_DOCUMENTS).metadata().configuration
