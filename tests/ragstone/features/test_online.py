from __future__ import annotations

import os
import signal
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from ragstone.features import materialize
from ragstone.features.online import ChunkFeatures, DocumentFeatures, OnlineReader
from ragstone.features.store import open_store
from ragstone.runtime.errors import RetrievalUnavailableError
from ragstone.runtime.redis_server import online_client, stop_redis
from ragstone.runtime.settings import Settings
from tests.ragstone.features.lake import CHUNKS, DEAD, GUIDE, KEPT, NOTES, TIED, chunk_ids, write_history


@pytest.fixture
def filled(served: Settings) -> Settings:
    write_history(served)
    materialize.run(served, "run-1")
    return served


def by_feast(settings: Settings, view: str, key: str, entities: list[str], features: tuple[str, ...]) -> list[dict]:
    response = open_store(settings).get_online_features(
        [f"{view}:{feature}" for feature in features], {key: entities}, full_feature_names=True
    )
    columns = response.to_dict(include_event_timestamps=True)
    return [
        {
            **{feature: columns[f"{view}__{feature}"][row] for feature in features},
            "ts": columns[f"{view}__{features[0]}__ts"][row],
        }
        for row in range(len(entities))
    ]


def test_chunks_equal_what_feast_reads(filled: Settings) -> None:
    living = [chunk["chunk_id"] for chunk in CHUNKS if chunk is not DEAD]
    found, _ = OnlineReader(filled).read(living, [])
    features = {
        "chunk_document_id": "document_id",
        "ordinal": "ordinal",
        "char_start": "char_start",
        "char_end": "char_end",
        "heading_path": "heading_path",
        "text": "text",
        "token_count": "token_count",
        "chunk_text_hash": "text_hash",
        "chunk_active": "active",
    }

    wanted = by_feast(filled, "chunk_metadata", "chunk_id", living, tuple(features))
    for chunk, row in zip(found, wanted, strict=True):
        assert chunk is not None
        assert {name: getattr(chunk, field) for name, field in features.items()} == _without_time(row)
        assert chunk.event_timestamp == _moment(row["ts"])


def test_documents_equal_what_feast_reads(filled: Settings) -> None:
    _, found = OnlineReader(filled).read([], [GUIDE, NOTES])
    access = by_feast(filled, "document_access", "document_id", [GUIDE, NOTES], ("acl", "document_active"))
    stats_features = ("title", "source", "source_uri", "document_language", "source_modified_at")
    stats = by_feast(filled, "document_stats", "document_id", [GUIDE, NOTES], stats_features)

    for document, may, told in zip(found, access, stats, strict=True):
        assert document is not None
        assert (list(document.acl), document.active) == (may["acl"], may["document_active"])
        assert document.event_timestamp == _moment(may["ts"])
        assert (document.title, document.source, document.source_uri) == (
            told["title"],
            told["source"],
            told["source_uri"],
        )
        assert (document.language, document.source_modified_at) == (
            told["document_language"],
            told["source_modified_at"],
        )


def test_order_and_repeats_are_kept_and_the_absent_are_none(filled: Settings) -> None:
    asked = [TIED["chunk_id"], "no such chunk", KEPT["chunk_id"], TIED["chunk_id"]]
    chunks, documents = OnlineReader(filled).read(asked, [NOTES, "no such document", NOTES])

    assert [chunk.chunk_id if isinstance(chunk, ChunkFeatures) else None for chunk in chunks] == [
        asked[0],
        None,
        asked[2],
        asked[3],
    ]
    assert [document.acl if isinstance(document, DocumentFeatures) else None for document in documents] == [
        ("staff", "board"),
        None,
        ("staff", "board"),
    ]


def test_one_read_is_one_round_trip(filled: Settings) -> None:
    reader = OnlineReader(filled)
    reader.read(chunk_ids(CHUNKS), [GUIDE])
    with online_client(filled) as client:
        before = client.info("commandstats")["cmdstat_hmget"]["calls"], client.info("stats")["total_reads_processed"]
        reader.read(chunk_ids(CHUNKS), [GUIDE, NOTES])
        after = client.info("commandstats")["cmdstat_hmget"]["calls"], client.info("stats")["total_reads_processed"]

    assert after[0] - before[0] == len(CHUNKS) + 2
    # The reader's one read, and the three INFO commands between the two counts.
    assert after[1] - before[1] <= 4


def test_nothing_asked_is_nothing_read(filled: Settings) -> None:
    assert OnlineReader(filled).read([], []) == ([], [])


def test_statistics_alone_do_not_make_a_document_look_alive(filled: Settings) -> None:
    from ragstone.features.redis_layout import entity_key, fields_of
    from ragstone.features.views import ACCESS

    with online_client(filled) as client:
        client.hdel(entity_key(filled.feast.project, "document_id", GUIDE), *fields_of(ACCESS))

    assert OnlineReader(filled).read([], [GUIDE]) == ([], [None])


def test_the_watermark_names_the_materialized_versions(filled: Settings) -> None:
    assert OnlineReader(filled).marker().table_versions() == {
        "silver.chunks": 1,
        "silver.embeddings_minilm_fp32": 1,
        "silver.document_access": 1,
        "silver.document_stats": 1,
    }


def test_a_redis_that_is_gone_is_told(filled: Settings) -> None:
    reader = OnlineReader(filled)
    stop_redis(filled)

    with pytest.raises(RetrievalUnavailableError, match="online store"):
        reader.read([KEPT["chunk_id"]], [])
    with pytest.raises(RetrievalUnavailableError, match="online store"):
        reader.marker()


def test_a_redis_that_hangs_is_given_up_within_the_deadline(filled: Settings) -> None:
    reader = OnlineReader(filled)
    reader.read([KEPT["chunk_id"]], [])
    with online_client(filled) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(RetrievalUnavailableError):
            reader.read([KEPT["chunk_id"]], [])
        waited_s = time.monotonic() - started
    finally:
        os.kill(pid, signal.SIGCONT)
    # Feast's own client would have waited for its ten retries.
    assert waited_s < 6 * filled.redis.deadline_ms / 1000


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _without_time(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "ts"}
