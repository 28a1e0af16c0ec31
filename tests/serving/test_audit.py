"""The audit of a running service, on a world of one's own: it tells what differs; a store is filled again under it."""

from ragstone.contracts.names import CHUNK_METADATA_VIEW
from ragstone.features import materialize
from ragstone.features.redis_layout import encode, entity_key, feature_field
from ragstone.runtime.redis_server import online_client
from serving.audit import BackgroundAudit
from serving.index import audit as index_audit
from serving.index.audit import audit_index
from serving.index.snapshot import open_current
from tests.serving.world import KILN, served, world_settings

QUESTION = "How many degrees did the kiln at Aldermoor reach?"


def overwrite_kiln(settings, text):
    with online_client(settings) as client:
        key = entity_key(settings.feast.project, "chunk_id", KILN.chunk_id())
        client.hset(key, feature_field(CHUNK_METADATA_VIEW, "text"), encode(text))


def ready_when(client, wanted):
    """Ask for readiness until it is as wanted; a test that hangs here is ended by its time limit."""
    while not wanted(found := client.get("/health/ready").json()):
        pass
    return found


def test_lake_online_store_and_index_agree(own_world):
    outcome = BackgroundAudit(own_world, lambda: open_current(own_world)).audit()

    assert (outcome.agrees, outcome.mismatches) == (True, {})
    assert outcome.checked > 0


def test_a_vector_that_is_not_the_lakes_is_found(own_world, monkeypatch):
    snapshot = open_current(own_world)
    assert audit_index(snapshot, own_world, None).agrees

    other = snapshot.matrix().copy()
    other[0] = -other[0]
    monkeypatch.setattr(snapshot, "matrix", lambda: other)
    found = index_audit.audit_index(snapshot, own_world, None)
    assert found.differing == (snapshot.rows()["chunk_id"][0].as_py(),)


def test_readiness_tells_of_the_last_audit_and_degrades_on_a_mismatch(own_world):
    settings = world_settings(own_world.home, feast={"audit_interval_s": 0.1})
    with served(settings) as client:
        first = ready_when(client, lambda found: found["audit"] is not None)
        assert (first["status"], first["audit"]["mismatches"]) == ("ready", {})

        overwrite_kiln(settings, "another text")
        degraded = ready_when(client, lambda found: found["status"] == "degraded")
        assert degraded["audit"]["mismatches"] == {CHUNK_METADATA_VIEW: 1}
        assert degraded["audit"]["at"] > first["audit"]["at"]


def test_a_flushed_store_is_filled_again_while_the_service_runs(own_world):
    with served(own_world) as client:
        before = client.post("/chat", json={"user": QUESTION}).json()
        with online_client(own_world) as redis_client:
            redis_client.flushall()
        assert client.post("/chat", json={"user": QUESTION}).json()["citations"] == []

        materialize.rematerialize(own_world, "run-2")
        after = client.post("/chat", json={"user": QUESTION}).json()
    assert before["citations"] != []
    assert after["answer"] == before["answer"]
