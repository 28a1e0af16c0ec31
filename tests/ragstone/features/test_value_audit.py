from __future__ import annotations

import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS
from ragstone.features.materialize import rematerialize, run
from ragstone.features.redis_layout import encode, entity_key, feature_field, time_field
from ragstone.features.value_audit import ValueAudit, audit_values
from ragstone.runtime.metrics import REGISTRY
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from tests.factories import at, make_access_row, make_chunk_row, make_tombstone
from tests.ragstone.features.lake import KEPT, LATE, TIED, later, write, write_history

CHUNK_VIEW, VECTOR_VIEW = "chunk_metadata", "chunk_embedding_minilm_fp32"


@pytest.fixture
def filled(served: Settings) -> Settings:
    write_history(served)
    run(served, "run-1")
    return served


def audited(settings: Settings, rows: int | None = None) -> dict[str, ValueAudit]:
    return {result.view: result for result in audit_values(settings, rows)}


def told(metric: str, view: str) -> float:
    found = REGISTRY.get_sample_value(metric, {"view": view})
    assert found is not None
    return found


def overwrite(settings: Settings, view: str, feature: str, chunk_id: str, value: bytes) -> None:
    with online_client(settings) as client:
        client.hset(entity_key(settings.feast.project, "chunk_id", chunk_id), feature_field(view, feature), value)


def test_every_living_row_is_online_as_in_the_lake(filled: Settings) -> None:
    found = audited(filled)

    assert {name: result.checked for name, result in found.items()} == {
        CHUNK_VIEW: 3,
        VECTOR_VIEW: 3,
        "document_access": 2,
        "document_stats": 2,
        "chunk_engagement": 0,
        "document_engagement": 0,
    }
    assert all(result.agrees for result in found.values())


@pytest.mark.parametrize("rows", [None, 100])
def test_one_wrong_value_is_found_though_its_time_is_right(filled: Settings, rows: int | None) -> None:
    overwrite(filled, CHUNK_VIEW, "text", KEPT["chunk_id"], encode("another text"))
    overwrite(filled, VECTOR_VIEW, "embedding", LATE["chunk_id"], b"")

    found = audited(filled, rows)
    assert found[CHUNK_VIEW].differing == (KEPT["chunk_id"],)
    assert found[VECTOR_VIEW].differing == (LATE["chunk_id"],)
    assert told("ragstone_online_audit_mismatches", CHUNK_VIEW) == 1


def test_a_row_that_is_not_online_is_found(filled: Settings) -> None:
    with online_client(filled) as client:
        client.hdel(entity_key(filled.feast.project, "chunk_id", TIED["chunk_id"]), time_field(CHUNK_VIEW))

    assert audited(filled)[CHUNK_VIEW].differing == (TIED["chunk_id"],)


def test_a_sample_looks_at_no_more_rows_than_asked(filled: Settings) -> None:
    assert max(result.checked for result in audit_values(filled, 1)) == 1


def test_what_is_still_to_be_materialized_is_no_mismatch(filled: Settings) -> None:
    dead = make_tombstone(SILVER_CHUNKS, TIED["chunk_id"], event_timestamp=at(90), created_timestamp=at(91))
    new = later(make_chunk_row("new text", "guide.md"), 90, 91)
    write(filled.lake_root, SILVER_CHUNKS, later(KEPT, 90, 91, ordinal=9), new, dead)

    assert audited(filled)[CHUNK_VIEW].differing == ()
    overwrite(filled, CHUNK_VIEW, "ordinal", KEPT["chunk_id"], encode("neither"))
    assert audited(filled)[CHUNK_VIEW].differing == (KEPT["chunk_id"],)


def test_a_delete_that_is_online_before_it_is_materialized_is_no_mismatch(filled: Settings) -> None:
    from ragstone.features.access import write_access_online

    row = later(make_access_row("notes.md", acl=["board"]), 90, 91)
    write(filled.lake_root, DOCUMENT_ACCESS, row)
    write_access_online(filled, [row])

    assert audited(filled)["document_access"].agrees


def test_a_flushed_store_differs_until_it_is_filled_again(filled: Settings) -> None:
    with online_client(filled) as client:
        client.flushall()
    assert not any(result.agrees for result in audit_values(filled, None) if result.checked)

    rematerialize(filled, "run-2")
    assert all(result.agrees for result in audit_values(filled, None))


def test_rows_bytes_seconds_and_freshness_of_each_view_are_metrics(filled: Settings) -> None:
    rematerialize(filled, "run-2")

    assert told("ragstone_feature_view_rows", CHUNK_VIEW) == 4
    assert told("ragstone_feature_view_newest_event_timestamp_seconds", CHUNK_VIEW) == at(20).timestamp()
    assert told("ragstone_feature_view_bytes", VECTOR_VIEW) > 0
    assert told("ragstone_feature_view_seconds", VECTOR_VIEW) > 0
