import pytest

from ragstone.contracts.tables import DOCUMENT_STATS
from ragstone.lake.chunk_counts import chunk_count_facts, shrunk_share
from tests.factories import DAY_ZERO, at, make_tombstone, write_rows


def stats(document_id, chunk_count, minute=0):
    row = dict.fromkeys(DOCUMENT_STATS.column_names)
    known = {"document_id": document_id, "chunk_count": chunk_count, "active": True, "run_id": "run-1"}
    return {**row, **known, "event_timestamp": DAY_ZERO, "created_timestamp": at(minute)}


def test_documents_that_lost_most_of_their_chunks_are_told(home):
    rows = [stats("shrunk", 2), stats("shrunk", 20, 1), stats("kept", 8), stats("short", 3), stats("other", 40)]
    write_rows(home, DOCUMENT_STATS, [*rows, make_tombstone(DOCUMENT_STATS, "ended", created_timestamp=at(2))])
    # Twenty became four, eight two: of the two that gave four or more, one is below a quarter.
    facts = chunk_count_facts(home, {"shrunk": 4, "kept": 2, "short": 0, "new": 10, "ended": 4})
    assert facts == {"chunks_per_document": 4.0, "shrunk_share": 0.5}


def test_without_documents_known_before_nothing_has_shrunk(home):
    assert chunk_count_facts(home, {"new": 3}) == {"chunks_per_document": 3.0, "shrunk_share": None}
    assert chunk_count_facts(home, {}) == {"chunks_per_document": None, "shrunk_share": None}
    assert shrunk_share({"a": 4, "b": 100}, {"a": 1, "b": 24}) == pytest.approx(0.5)
