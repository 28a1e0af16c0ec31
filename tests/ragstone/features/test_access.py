from __future__ import annotations

from typing import Any

import pytest

from ragstone.contracts.records import Envelope
from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.features import materialize
from ragstone.features.access import apply_access, delete_document, restore_document
from ragstone.features.online import DocumentFeatures, OnlineReader
from ragstone.features.store import open_store
from ragstone.lake import read
from ragstone.lake.documents import bronze_state
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import DependencyUnavailableError, NotFoundError, UsageError
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings, load_settings
from tests.factories import at, make_envelope
from tests.ragstone.features.lake import GUIDE, NOTES, write_history


@pytest.fixture
def filled(served: Settings) -> Settings:
    LandingZone(served.landing_root).append_batch([make_envelope("guide.md"), make_envelope("notes.md")])
    write_history(served)
    materialize.run(served, "run-1")
    return served


def online(settings: Settings, document_id: str = GUIDE) -> DocumentFeatures | None:
    _, (found,) = OnlineReader(settings).read([], [document_id])
    return found


def access_rows(settings: Settings) -> list[dict[str, Any]]:
    rows = read.query(settings.lake_root, "SELECT * FROM access ORDER BY created_timestamp", access=DOCUMENT_ACCESS)
    return rows.to_pylist()


def test_a_delete_is_landed_then_in_the_lake_then_online(filled: Settings) -> None:
    delete_document(filled, GUIDE, requested_by="a test")

    assert bronze_state(filled)[GUIDE].change == "deleted"
    newest = read.newest_rows(filled.lake_root, DOCUMENT_ACCESS, where=f"document_id = '{GUIDE}'").to_pylist()[0]
    assert (newest["active"], newest["acl"]) == (False, None)
    assert newest["event_timestamp"] == bronze_state(filled)[GUIDE].fetched_at
    found = online(filled)
    assert found is not None
    assert (found.active, found.acl, found.event_timestamp) == (False, (), newest["event_timestamp"])
    assert online(filled, NOTES).active  # type: ignore[union-attr]


def test_no_materialization_brings_a_deleted_document_back(filled: Settings) -> None:
    delete_document(filled, GUIDE, requested_by="a test")
    store = open_store(filled)

    for bring_back in (
        lambda: store.materialize(at(-10), at(5)),
        lambda: store.materialize_incremental(at(100_000_000)),
        lambda: materialize.run(filled, "run-2"),
        lambda: materialize.rematerialize(filled, "run-3"),
    ):
        bring_back()
        found = online(filled)
        assert found is None or not found.active


def test_what_is_written_online_is_what_feast_writes(filled: Settings) -> None:
    delete_document(filled, GUIDE, requested_by="a test")
    apply_access(filled, [make_envelope("notes.md", "access", acl=("staff", "press"), fetched_at=at(90))], "run-2")
    ours = _hashes(filled)
    open_store(filled).materialize(at(-10), at(100), ["document_access"])

    assert _hashes(filled) == ours


def test_deleting_twice_lands_once(filled: Settings) -> None:
    delete_document(filled, GUIDE, requested_by="a test")
    batches, rows = LandingZone(filled.landing_root).last_batch(), access_rows(filled)
    delete_document(filled, GUIDE, requested_by="a test")

    assert (LandingZone(filled.landing_root).last_batch(), access_rows(filled)) == (batches, rows)


def test_a_restore_lifts_the_delete(filled: Settings) -> None:
    delete_document(filled, GUIDE, requested_by="a test")
    restore_document(filled, GUIDE, requested_by="a test")

    assert bronze_state(filled)[GUIDE].change == "restored"
    found = online(filled)
    assert found is not None
    assert (found.active, found.acl) == (True, ("public",))
    materialize.run(filled, "run-2")
    assert online(filled) == found


def test_only_deleted_documents_are_restored_and_only_known_ones_deleted(filled: Settings) -> None:
    with pytest.raises(UsageError, match="deleted"):
        restore_document(filled, GUIDE, requested_by="a test")
    for call in (delete_document, restore_document):
        with pytest.raises(NotFoundError):
            call(filled, "no such document", "a test")


def test_applying_a_change_again_or_late_changes_nothing(filled: Settings) -> None:
    closed = make_envelope("notes.md", "access", acl=("board",), fetched_at=at(50))
    opened = make_envelope("notes.md", "access", acl=("public",), fetched_at=at(60))
    assert apply_access(filled, [closed, opened], "run-2") == 1
    before = access_rows(filled)

    assert apply_access(filled, [closed], "run-3") == 0
    assert apply_access(filled, [closed, opened], "run-3") == 0
    assert access_rows(filled) == before
    assert online(filled, NOTES).acl == ("public",)  # type: ignore[union-attr]


def test_a_change_goes_online_again_when_only_the_lake_has_it(filled: Settings) -> None:
    deleted = make_envelope("guide.md", "deleted", fetched_at=at(50))
    apply_access(filled, [deleted], "run-2")
    with online_client(filled) as client:
        client.flushall()
    apply_access(filled, [deleted], "run-2")

    found = online(filled)
    assert found is not None
    assert not found.active


def test_created_times_increase_even_when_the_clock_does_not(filled: Settings) -> None:
    ahead = make_envelope("guide.md", "access", acl=("staff",), fetched_at=at(50))
    apply_access(filled, [ahead], "run-2")
    apply_access(filled, [Envelope(**{**vars(ahead), "acl": ("board",)})], "run-2")
    own = [row for row in access_rows(filled) if row["document_id"] == GUIDE]

    assert [row["acl"] for row in own] == [["public"], ["staff"], ["board"]]
    times = [row["created_timestamp"] for row in own]
    assert times == sorted(set(times))


def test_a_delete_without_redis_is_recorded_and_says_so(settings: Settings) -> None:
    offline = load_settings(home=settings.home, redis={"url": "redis://127.0.0.1:1"})
    LandingZone(offline.landing_root).append_batch([make_envelope("guide.md")])

    with pytest.raises(DependencyUnavailableError, match="recorded"):
        delete_document(offline, GUIDE, requested_by="a test")
    assert bronze_state(offline)[GUIDE].change == "deleted"
    assert not access_rows(offline)[-1]["active"]


def _hashes(settings: Settings) -> dict[bytes, Any]:
    with online_client(settings) as client:
        return {key: client.hgetall(key) for key in client.scan_iter() if client.type(key) == b"hash"}
