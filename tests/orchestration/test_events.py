"""`ragstone events`."""

from ragstone.contracts.names import RETRIEVAL_STREAM
from ragstone.contracts.stream_entries import to_entry
from ragstone.contracts.tables import RETRIEVALS
from ragstone.lake.ops import last_run
from ragstone.runtime.redis_server import online_client
from tests.factories import make_retrieval_row


def test_drain_moves_events_once_and_is_recorded(command, settings):
    with online_client(settings) as client:
        client.xadd(RETRIEVAL_STREAM, to_entry(RETRIEVALS, make_retrieval_row()))
    first, second = command("--json", "events", "drain"), command("--json", "events", "drain")

    assert (first.code, second.code) == (0, 0)
    assert first.document["step"]["result"]["accepted"] == 1
    assert first.document["step"]["result"]["details"]["tables"]["events.retrievals"] == 1
    assert second.document["step"]["result"]["status"] == "unchanged"
    assert last_run(settings.lake_root, "drain")["run_id"] == second.document["run_id"]


def test_drain_shows_what_it_did(command):
    told = command("events", "drain")

    assert told.code == 0
    assert "unchanged" in told.out


def test_without_redis_drain_says_what_to_do(command, monkeypatch):
    monkeypatch.setenv("RAGSTONE_REDIS_URL", "redis://127.0.0.1:1")
    told = command("--json", "events", "drain")

    assert told.code == 4
    assert told.document["error"]["kind"] == "DependencyUnavailableError"
    assert "ragstone doctor" in told.document["error"]["next"]
