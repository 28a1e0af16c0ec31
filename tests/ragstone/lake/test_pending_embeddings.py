"""What embed has to do, held against a plain reading of each chunk's history."""

from datetime import timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ragstone.contracts.tables import SILVER_CHUNKS, embeddings
from ragstone.lake import read
from ragstone.lake.delta import table_version
from ragstone.lake.pending_embeddings import pending_embeddings, pending_sql
from ragstone.lake.schema import arrow_schema
from tests.factories import at, make_chunk_row, make_tombstone, write_rows

SPACE = embeddings("tiny", 3)
LATER = timedelta(seconds=1)


def chunk_version(key, minute, active, written=0):
    times = {"event_timestamp": at(minute), "created_timestamp": at(minute) + LATER * (1 + written)}
    if not active:
        return make_tombstone(SILVER_CHUNKS, key, **times)
    return make_chunk_row(f"text of {key}", chunk_id=key, **times)


def embedding_version(key, minute, active):
    row = make_tombstone(SPACE, key, event_timestamp=at(minute), created_timestamp=at(minute) + 5 * LATER)
    made = {"active": True, "text_hash": make_chunk_row(f"text of {key}")["text_hash"], "embedding": [1.0, 0.0, 0.0]}
    return {**row, **made} if active else row


def pending_rows(chunks, vectors):
    tables = {
        "chunks": pa.Table.from_pylist(chunks, arrow_schema(SILVER_CHUNKS)),
        "vectors": pa.Table.from_pylist(vectors, arrow_schema(SPACE)),
    }
    found = read.query(None, pending_sql(SPACE, "chunks", "vectors"), **tables).to_pylist()
    return {(row["chunk_id"], row["event_timestamp"], row["active"]) for row in found}


def oracle(chunks, vectors):
    pending = set()
    for key in {row["chunk_id"] for row in chunks}:
        history = sorted(
            (row for row in chunks if row["chunk_id"] == key),
            key=lambda row: (row["event_timestamp"], row["created_timestamp"], not row["active"]),
        )
        turn, was_active = None, False
        for row in history:
            if row["active"] != was_active:
                turn, was_active = row, row["active"]
        made = [row for row in vectors if row["chunk_id"] == key]
        last = max(made, key=lambda row: (row["event_timestamp"], row["created_timestamp"]), default=None)
        stands = last is not None and last["active"]
        outdated = stands and turn is not None and last["event_timestamp"] < turn["event_timestamp"]
        if turn is not None and (turn["active"] != stands or (turn["active"] and outdated)):
            pending.add((key, turn["event_timestamp"], turn["active"]))
    return pending


VERSIONS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 6), st.booleans(), st.integers(0, 2)),
    max_size=10,
    unique_by=lambda version: (version[0], version[1], version[3]),
)


@settings(max_examples=60, deadline=None)
@given(VERSIONS, st.data())
def test_what_waits_equals_a_plain_reading_of_the_history(versions, data):
    chunks = [chunk_version(key, minute, active, written) for key, minute, active, written in versions]
    embedded = data.draw(st.lists(st.sampled_from(chunks), unique_by=id)) if chunks else []
    vectors = [
        {**embedding_version(row["chunk_id"], 0, row["active"]), "event_timestamp": row["event_timestamp"]}
        for row in embedded
    ]
    for place, row in enumerate(vectors):
        row["created_timestamp"] = at(100 + place)
    assert pending_rows(chunks, vectors) == oracle(chunks, vectors)


def test_a_chunk_that_only_moved_waits_for_nothing():
    chunks = [chunk_version("a", 1, True), chunk_version("a", 2, True)]
    assert pending_rows(chunks, []) == {("a", at(1), True)}
    assert pending_rows(chunks, [embedding_version("a", 1, True)]) == set()


def test_a_restored_chunk_waits_for_a_row_of_its_return():
    chunks = [chunk_version("a", 1, True), chunk_version("a", 2, False), chunk_version("a", 3, True)]
    assert pending_rows(chunks, [embedding_version("a", 1, True)]) == {("a", at(3), True)}
    assert pending_rows(chunks[:2], [embedding_version("a", 1, True)]) == {("a", at(2), False)}


def test_on_a_tie_the_tombstone_wins():
    chunks = [chunk_version("a", 1, True), chunk_version("a", 1, False)]
    assert pending_rows(chunks, []) == set()


def test_counts(home):
    write_rows(home, SILVER_CHUNKS, [chunk_version(key, 1, True) for key in "abcd"])
    write_rows(home, SPACE, [embedding_version(key, 1, True) for key in "ab"])
    write_rows(home, SILVER_CHUNKS, [chunk_version("a", 2, False), chunk_version("d", 3, True)])
    write_rows(
        home, SILVER_CHUNKS, [{**chunk_version("e", 3, True), "text_hash": make_chunk_row("text of b")["text_hash"]}]
    )
    found = pending_embeddings(home, SPACE, table_version(home, SILVER_CHUNKS), set_aside=["c"])
    assert (found.living, found.to_embed, found.to_end) == (4, 3, 1)
    assert (found.known_texts, found.unknown_texts, found.fresh, found.total) == (1, 2, 3, 4)
    assert found.newest_write == at(1) + 5 * LATER
    assert pending_embeddings(home, SPACE, 1).to_embed == 2


def test_a_lake_without_tables_has_nothing_waiting(home):
    found = pending_embeddings(home, SPACE, table_version(home, SILVER_CHUNKS))
    assert (found.living, found.total, found.newest_write) == (0, 0, None)
