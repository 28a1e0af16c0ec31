"""Starting, refusing to start, following the published index, deleting, and losing Redis, on a world of one's own."""

import json
import os
import signal
import time

import pytest

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.features import materialize
from ragstone.features.access import restore_document
from ragstone.runtime.errors import IndexIncompatibleError, NotFoundError
from ragstone.runtime.redis_server import stop_redis
from serving.index import build
from serving.services import open_services
from tests.factories import make_tombstone, write_rows
from tests.serving.world import ADMIN_KEY, BEES, FERRY, KILN, as_, served, world_settings

QUESTION = "How many degrees did the kiln at Aldermoor reach?"
BEES_QUESTION = "How many kilograms of honey does the upland bee hive winter on?"


def ask(client, user=QUESTION):
    return client.post("/chat", json={"user": user})


def server_pid(settings):
    return json.loads((settings.home / "redis" / "server.json").read_text())["pid"]


def test_an_index_of_another_encoder_is_refused_at_the_start(world):
    other = world_settings(world.home, embedding={"max_tokens": 64})

    with pytest.raises(IndexIncompatibleError) as refused:
        open_services(other)

    assert str(refused.value.got).startswith("encoder ")
    assert str(refused.value.wanted).startswith("encoder ")
    assert refused.value.got != refused.value.wanted


def test_a_service_that_refuses_does_not_begin_to_listen(world):
    other = world_settings(world.home, embedding={"max_tokens": 64})

    with pytest.raises(AssertionError, match="did not start"), served(other):
        pass


def test_without_a_published_index_the_service_says_what_to_run(home):
    with pytest.raises(NotFoundError) as refused:
        open_services(world_settings(home))

    assert refused.value.next_step == "ragstone run"


def test_a_corrupt_index_is_refused_and_named(own_world):
    [vectors] = own_world.index_root.glob("*/vectors.faiss")
    content = bytearray(vectors.read_bytes())
    content[-1] ^= 1
    vectors.write_bytes(content)

    with pytest.raises(IndexIncompatibleError) as refused:
        open_services(own_world)

    assert refused.value.where == str(vectors)


def test_a_deleted_document_is_not_answered_from_at_the_next_question(own_world):
    with served(own_world) as client:
        before = ask(client, BEES_QUESTION).json()
        assert before["citations"][0]["document_id"] == BEES.document_id

        deleted = client.delete(f"/v1/documents/{BEES.document_id}", headers=as_(ADMIN_KEY))

        assert deleted.json() == {"document_id": BEES.document_id, "deleted": True}
        after = ask(client, BEES_QUESTION).json()
        assert BEES.document_id not in {citation["document_id"] for citation in after["citations"]}
        assert "honey" not in after["answer"]
        assert client.get(before["citations"][0]["url"]).status_code == 404
        assert ask(client).json()["citations"][0]["document_id"] == KILN.document_id

        restore_document(own_world, BEES.document_id, "a test")
        assert ask(client, BEES_QUESTION).json()["citations"][0]["document_id"] == BEES.document_id


def test_deleting_what_is_not_there_is_not_found(own_world):
    with served(own_world) as client:
        assert client.delete(f"/v1/documents/{'0' * 32}", headers=as_(ADMIN_KEY)).status_code == 404


def test_the_index_follows_what_is_published_while_serving(own_world):
    with served(own_world) as client:
        first = client.get("/health/ready").json()
        write_rows(own_world.lake_root, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, FERRY.chunk_id())])
        materialize.run(own_world, "run-2")
        published = build.run(own_world, "run-2")
        assert published.status == "ok"

        give_up = time.monotonic() + 30
        while (ready := client.get("/health/ready").json())["index_version"] == first["index_version"]:
            assert time.monotonic() < give_up, "the service did not follow"

        assert ready["chunks"] == first["chunks"] - 1
        assert ask(client).json()["index_version"] == ready["index_version"]


def test_a_redis_that_is_gone_is_told_with_its_facts_and_questions_come_back_with_it(own_world):
    with served(own_world) as client:
        stop_redis(own_world)

        for refused in (ask(client), client.get("/health/ready"), client.get(f"/v1/chunks/{KILN.chunk_id()}")):
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert {"what", "where", "got", "wanted", "next"} <= refused.json().keys()
        assert client.get("/health/live").status_code == 200


def test_a_redis_that_hangs_is_given_up_within_its_deadline(own_world):
    with served(own_world) as client:
        os.kill(server_pid(own_world), signal.SIGSTOP)
        try:
            refused = ask(client)
            assert refused.status_code == 503
            assert "within redis.deadline_ms" in refused.json()["wanted"]
            assert client.get("/health/live").status_code == 200
        finally:
            os.kill(server_pid(own_world), signal.SIGCONT)

        assert ask(client).status_code == 200
