"""Versions flip under load: no question is refused, and every answer is of one of the two versions."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.features import materialize
from serving.index import build, follower, publish
from serving.index.snapshot import open_current
from tests.factories import make_tombstone, write_rows
from tests.serving.world import FERRY, KILN, served

QUESTION = "How many degrees did the kiln at Aldermoor reach?"
FLIPS, ASKING = 20, 4


@pytest.fixture
def versions(own_world):
    first = open_current(own_world).manifest.version
    write_rows(own_world.lake_root, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, FERRY.chunk_id())])
    materialize.run(own_world, "run-2")
    build.run(own_world, "run-2")
    return first, open_current(own_world).manifest.version


def test_no_question_is_refused_while_versions_flip(own_world, versions, monkeypatch):
    monkeypatch.setattr(follower, "POLL_S", 0.005)
    done = threading.Event()

    def ask_on(base_url):
        answers = []
        with httpx2.Client(base_url=base_url, trust_env=False, timeout=30) as client:
            while not done.is_set():
                answers.append(client.post("/chat", json={"user": QUESTION}))
        return answers

    with served(own_world) as client, ThreadPoolExecutor(ASKING) as pool:
        asked = [pool.submit(ask_on, client.base_url) for _ in range(ASKING)]
        try:
            for flip in range(FLIPS):
                version = publish.rollback(own_world, versions[flip % 2]).version
                while client.get("/health/ready").raise_for_status().json()["index_version"] != version:
                    pass
        finally:
            done.set()
        answers = [answer for each in asked for answer in each.result()]

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["index_version"] for answer in answers} == set(versions)
    assert {answer.json()["citations"][0]["document_id"] for answer in answers} == {KILN.document_id}
