"""Indexes of past days: named as such, listed, pruned among themselves, never served."""

from __future__ import annotations

import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import Settings
from serving.index import build, publish
from serving.index.pointer import read_pointer
from serving.index.snapshot import open_snapshot
from tests.factories import at
from tests.serving.index.lake import EAST, NORTH, end, put


@pytest.fixture
def settings(settings: Settings) -> Settings:
    put(settings, NORTH, EAST)
    end(settings, DOCUMENT_ACCESS, NORTH.document_id, event_timestamp=at(60), created_timestamp=at(60))
    return settings


def test_an_index_of_a_past_day_is_named_by_that_day_and_holds_its_corpus(settings: Settings) -> None:
    past = build.build(settings, "run-1", known_by=at(30))
    assert past.version.startswith("as-of-20260101T003000000000Z-")
    rows = open_snapshot(settings.index_root / past.version).rows()
    assert set(rows["chunk_id"].to_pylist()) == {NORTH.chunk_id, EAST.chunk_id}
    [listed] = publish.list_versions(settings)
    assert (listed.manifest.known_by, listed.current) == (at(30), False)


def test_an_index_of_a_past_day_is_never_served(settings: Settings) -> None:
    past = build.build(settings, "run-1", known_by=at(30))
    build.run(settings, "run-2")
    served = read_pointer(settings.index_root)
    for publishing in (publish.publish, publish.rollback):
        with pytest.raises(UsageError, match="past day"):
            publishing(settings, past.version)
    with pytest.raises(UsageError, match="no older index"):
        publish.rollback(settings)
    assert read_pointer(settings.index_root) == served


def test_past_days_and_the_present_are_pruned_apart_oldest_build_first(settings: Settings) -> None:
    settings = settings.model_copy(update={"index": settings.index.model_copy(update={"keep_as_of": 2})})
    build.run(settings, "run-1")
    [served] = publish.version_names(settings.index_root)
    days = [build.build(settings, "by-hand", known_by=at(minute)).version for minute in (50, 10, 30)]
    assert publish.version_names(settings.index_root) == [*reversed(days), served]
    assert publish.prune(settings) == [days[0]]
    assert publish.version_names(settings.index_root) == [days[2], days[1], served]
