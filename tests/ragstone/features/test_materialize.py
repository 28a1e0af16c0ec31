from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS
from ragstone.features import refresh as refreshing
from ragstone.features.audit import ViewAudit, audit, sweep
from ragstone.features.materialize import rematerialize, run
from ragstone.features.online import OnlineReader
from ragstone.features.redis_layout import entity_key, time_field
from ragstone.features.store import open_store
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings
from tests.factories import at, make_access_row, make_chunk_row, make_tombstone
from tests.ragstone.features.lake import DEAD, GUIDE, KEPT, LATE, NOTES, TIED, later, write, write_history

CHUNK_VIEW = "chunk_metadata"


@pytest.fixture
def filled(served: Settings) -> Settings:
    write_history(served)
    run(served, "run-1")
    return served


def chunk(settings: Settings, chunk_id: str) -> Any:
    (found,), _ = OnlineReader(settings).read([chunk_id], [])
    return found


def audited(settings: Settings) -> dict[str, ViewAudit]:
    return {result.view: result for result in audit(settings)}


def contents(settings: Settings) -> dict[bytes, Any]:
    with online_client(settings) as client:
        keys = sorted(client.scan_iter())
        return {key: client.hgetall(key) if client.type(key) == b"hash" else client.get(key) for key in keys}


def test_the_newest_rows_are_served_and_the_dead_are_gone(filled: Settings) -> None:
    assert chunk(filled, KEPT["chunk_id"]).ordinal == 7
    assert chunk(filled, LATE["chunk_id"]).heading_path == "new"
    assert (chunk(filled, TIED["chunk_id"]).token_count, chunk(filled, TIED["chunk_id"]).ordinal) == (2, None)
    assert chunk(filled, DEAD["chunk_id"]) is None
    with online_client(filled) as client:
        assert not client.exists(entity_key(filled.feast.project, "chunk_id", DEAD["chunk_id"]))


def test_rows_in_the_lake_and_online_are_counted_and_agree(served: Settings) -> None:
    write_history(served)
    result = run(served, "run-1")

    # Four chunks with their vectors and two documents with access and statistics; one chunk is dead.
    assert (result.status, result.unit, result.accepted, result.unchanged, result.written) == ("ok", "rows", 12, 0, 12)
    assert result.details["rows"] == {
        "chunk_metadata": {"lake": 3, "online": 3},
        "chunk_embedding_minilm_fp32": {"lake": 3, "online": 3},
        "document_stats": {"lake": 2, "online": 2},
        "chunk_engagement": {"lake": 0, "online": 0},
        "document_engagement": {"lake": 0, "online": 0},
        "document_access": {"lake": 2, "online": 2},
    }
    assert result.tables_read["silver.chunks"] == 1
    assert all(found.agrees for found in audit(served))


def test_unchanged_tables_and_definitions_write_nothing(filled: Settings) -> None:
    registry = filled.home / "registry" / "registry.db"
    before = contents(filled), registry.read_bytes(), registry.stat().st_mtime_ns
    result = run(filled, "run-2")

    assert (result.status, result.accepted, result.unchanged, result.written) == ("unchanged", 0, 12, 0)
    assert (contents(filled), registry.read_bytes(), registry.stat().st_mtime_ns) == before


def test_only_what_a_commit_touched_is_written_again(filled: Settings) -> None:
    write(filled.lake_root, SILVER_CHUNKS, later(KEPT, 40, 41, ordinal=9))
    result = run(filled, "run-2")

    assert (result.accepted, result.unchanged) == (1, 11)
    assert chunk(filled, KEPT["chunk_id"]).ordinal == 9


def test_a_row_that_comes_late_is_taken_and_hides_nothing_newer(filled: Settings) -> None:
    new = make_chunk_row("came late", "guide.md")
    write(filled.lake_root, SILVER_CHUNKS, later(new, -500, 50), later(KEPT, 5, 51, ordinal=1))
    run(filled, "run-2")

    assert chunk(filled, new["chunk_id"]).text == "came late"
    assert chunk(filled, KEPT["chunk_id"]).ordinal == 7


def test_a_correction_with_the_same_event_time_is_taken(filled: Settings) -> None:
    write(filled.lake_root, SILVER_CHUNKS, later(KEPT, 20, 60, ordinal=8))
    run(filled, "run-2")

    assert chunk(filled, KEPT["chunk_id"]).ordinal == 8


def test_a_tombstone_takes_its_row_away_and_a_newer_row_brings_it_back(filled: Settings) -> None:
    dead = make_tombstone(SILVER_CHUNKS, KEPT["chunk_id"], event_timestamp=at(30), created_timestamp=at(31))
    write(filled.lake_root, SILVER_CHUNKS, dead)
    assert run(filled, "run-2").details["swept"][CHUNK_VIEW] == 1
    assert chunk(filled, KEPT["chunk_id"]) is None

    write(filled.lake_root, SILVER_CHUNKS, later(KEPT, 40, 41))
    run(filled, "run-3")
    assert chunk(filled, KEPT["chunk_id"]).active


def test_feast_with_an_old_window_brings_no_dead_row_back(filled: Settings) -> None:
    open_store(filled).materialize(at(-10), at(9))

    found = chunk(filled, DEAD["chunk_id"])
    assert found is None or not found.active
    assert chunk(filled, KEPT["chunk_id"]).ordinal == 7


def test_an_emptied_redis_is_filled_again(filled: Settings) -> None:
    with online_client(filled) as client:
        client.flushall()
    result = run(filled, "run-2")

    assert result.accepted == 12
    assert chunk(filled, KEPT["chunk_id"]).ordinal == 7


def test_rows_lost_online_are_found_and_written_again(filled: Settings) -> None:
    with online_client(filled) as client:
        client.delete(entity_key(filled.feast.project, "chunk_id", TIED["chunk_id"]))
    assert audited(filled)[CHUNK_VIEW].missing == (TIED["chunk_id"],)

    write(filled.lake_root, SILVER_CHUNKS, later(KEPT, 40, 41))
    run(filled, "run-2")
    assert all(result.agrees for result in audit(filled))


def test_the_audit_tells_stale_and_dead_rows_and_the_sweep_spares_the_living(filled: Settings) -> None:
    with online_client(filled) as client:
        old = client.hget(entity_key(filled.feast.project, "chunk_id", TIED["chunk_id"]), time_field(CHUNK_VIEW))
        client.hset(entity_key(filled.feast.project, "chunk_id", KEPT["chunk_id"]), time_field(CHUNK_VIEW), old)
        client.hset(entity_key(filled.feast.project, "chunk_id", "0" * 32), time_field(CHUNK_VIEW), old)
        client.hset(entity_key(f"x{filled.feast.project}", "chunk_id", "0" * 32), time_field(CHUNK_VIEW), old)
    found = audited(filled)[CHUNK_VIEW]
    assert (found.stale, found.dead, found.missing) == ((KEPT["chunk_id"],), ("0" * 32,), ())

    assert sweep(filled)[CHUNK_VIEW] == 1
    with online_client(filled) as client:
        assert client.exists(entity_key(f"x{filled.feast.project}", "chunk_id", "0" * 32))
    assert chunk(filled, KEPT["chunk_id"]) is not None


def test_a_lost_registry_is_made_again(filled: Settings) -> None:
    (filled.home / "registry" / "registry.db").unlink()

    assert run(filled, "run-2").status == "ok"
    assert open_store(filled).get_feature_view(CHUNK_VIEW).name == CHUNK_VIEW


def test_rematerialize_writes_every_row(filled: Settings) -> None:
    assert rematerialize(filled, "run-2").accepted == 12


def test_a_delete_while_documents_are_being_written_stays_deleted(
    served: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_history(served)
    feasts: Callable[..., None] = refreshing._materialize

    def with_a_delete_meanwhile(store: Any, taken: Any) -> None:
        feasts(store, taken)
        if taken.view.name == "document_access":
            # As if it had come between Feast's read and its write: in the lake, and overwritten online.
            write(served.lake_root, DOCUMENT_ACCESS, later(make_access_row("guide.md"), 30, 31, active=False, acl=None))

    monkeypatch.setattr(refreshing, "_materialize", with_a_delete_meanwhile)
    result = run(served, "run-1")

    _, (guide, notes) = OnlineReader(served).read([], [GUIDE, NOTES])
    assert guide is None or not guide.active
    assert notes is not None
    assert notes.active
    assert result.tables_read["silver.document_access"] == 2


def test_a_home_without_tables_materializes_nothing(served: Settings) -> None:
    result = run(served, "run-1")

    assert (result.status, result.accepted, result.unchanged) == ("ok", 0, 0)
    assert run(served, "run-2").status == "unchanged"
