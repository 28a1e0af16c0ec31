from __future__ import annotations

from ragstone.contracts.tables import SILVER_CHUNKS, embeddings
from ragstone.lake.delta import ABSENT, table_version
from ragstone.lake.unknown_texts import UnknownTexts, unknown_texts
from tests.factories import at, make_chunk_row, make_tombstone, write_rows

SPACE = embeddings("tiny", 3)


def test_each_unknown_living_text_is_counted_once_in_bytes(home):
    known, new, twice = make_chunk_row("known"), make_chunk_row("neu: größe"), make_chunk_row("neu: größe", "b.md")
    gone = make_chunk_row("gone")
    end = make_tombstone(SILVER_CHUNKS, gone["chunk_id"], event_timestamp=at(1), created_timestamp=at(2))
    write_rows(home, SILVER_CHUNKS, [known, make_chunk_row("known", "c.md"), new, twice, gone, end])
    vector = {
        **{name: known[name] for name in ("chunk_id", "text_hash", "event_timestamp", "created_timestamp", "run_id")},
        "active": True,
        "embedding_key": "key",
        "model_id": "model",
        "model_hash": "hash",
        "dim": 3,
        "embedding": [1.0, 0.0, 0.0],
    }
    write_rows(home, SPACE, [vector])

    assert unknown_texts(home, SPACE, table_version(home, SILVER_CHUNKS)) == UnknownTexts(1, 12)


def test_without_chunks_nothing_waits(home):
    assert unknown_texts(home, SPACE, ABSENT) == UnknownTexts(0, 0)
