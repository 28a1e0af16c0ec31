"""From a question and its judgement over HTTP to rows of the lake and features online."""

import json

import pytest

from ragstone.contracts.tables import CHUNK_ENGAGEMENT, DOCUMENT_ENGAGEMENT, FEEDBACK, RETRIEVALS
from ragstone.features import materialize
from ragstone.features.recipes.reranker import reranker_labels
from ragstone.features.store import open_store
from ragstone.features.training import training_set
from ragstone.lake import events, read
from ragstone.lake.delta import table_version
from ragstone.lake.ops import recorded_run
from tests.serving.test_chat import ask
from tests.serving.world import BEES, KILN, READER_KEY, as_, served

NAMES = ("shown", "cited", "chosen", "thumbs_up", "thumbs_down")


@pytest.fixture
def judged(own_world):
    """A world in which one question was asked and its answer judged; returns settings and the answer."""
    with served(own_world) as service:
        answer = ask(service, key=READER_KEY)
        said = {"thumbs": "up", "chosen_chunk_id": KILN.chunk_id()}
        response = service.post(
            "/v1/feedback", json={"answer_id": answer["answer_id"], **said}, headers=as_(READER_KEY)
        )
        assert response.status_code == 201
    return own_world, answer


def drain(settings, run_id="run-2"):
    return recorded_run("drain", events.run, settings, run_id)


def test_questions_and_judgements_become_rows_and_engagement(judged):
    settings, answer = judged
    result = drain(settings)

    assert (result.status, result.accepted, result.quarantined) == ("ok", 2, 0)
    [event] = read.query(settings.lake_root, "SELECT * FROM t", t=RETRIEVALS).to_pylist()
    assert (event["answer_id"], event["answer"]) == (answer["answer_id"], answer["answer"])
    assert [c["chunk_id"] for c in json.loads(event["citations"])] == [c["chunk_id"] for c in answer["citations"]]
    [judgement] = read.query(settings.lake_root, "SELECT * FROM t", t=FEEDBACK).to_pylist()
    assert (judgement["answer_id"], judgement["chunk_id"]) == (answer["answer_id"], KILN.chunk_id())
    rows = {row["chunk_id"]: row for row in read.state(settings.lake_root, CHUNK_ENGAGEMENT).to_pylist()}
    assert [rows[KILN.chunk_id()][f"{name}_count"] for name in NAMES] == [1, 1, 1, 1, 0]
    assert [rows[BEES.chunk_id()][f"{name}_count"] for name in NAMES] == [1, 0, 0, 0, 0]
    assert sum(result.details["tables"].values()) == result.written


def test_a_second_drain_and_a_second_materialization_write_nothing(judged):
    settings, _ = judged
    drain(settings)
    materialize.run(settings, "run-3")
    tables = (RETRIEVALS, FEEDBACK, CHUNK_ENGAGEMENT, DOCUMENT_ENGAGEMENT)
    before = [table_version(settings.lake_root, spec) for spec in tables]

    assert (drain(settings, "run-4").status, drain(settings, "run-5").written) == ("unchanged", 0)
    assert [table_version(settings.lake_root, spec) for spec in tables] == before
    assert materialize.run(settings, "run-6").status == "unchanged"


def test_engagement_is_served_online_with_the_next_materialization(judged):
    settings, _ = judged
    drain(settings)
    result = materialize.run(settings, "run-3")

    assert (
        result.details["rows"]["chunk_engagement"]["online"] == result.details["rows"]["chunk_engagement"]["lake"] > 0
    )
    store = open_store(settings)
    found = store.get_online_features(
        store.get_feature_service("reranker_v1"),
        [{"chunk_id": KILN.chunk_id(), "document_id": KILN.document_id}],
    ).to_dict()
    assert [found[f"chunk_{name}_count"] for name in NAMES] == [[1], [1], [1], [1], [0]]
    assert found["document_shown_count"] == [1]
    assert found["text"] == [KILN.paragraphs[0]]


def test_lineage_is_told_after_a_drain_as_before(judged):
    settings, answer = judged
    drain(settings)

    with served(settings) as service:
        path = f"/v1/answers/{answer['answer_id']}/lineage"
        assert service.get(path, headers=as_(READER_KEY)).status_code == 200


def test_judged_chunks_join_with_features_of_when_the_question_was_asked(judged):
    settings, answer = judged
    drain(settings)
    materialize.run(settings, "run-3")
    with served(settings) as service:
        again = ask(service, key=READER_KEY)
        said = {"answer_id": again["answer_id"], "thumbs": "down"}
        assert service.post("/v1/feedback", json=said, headers=as_(READER_KEY)).status_code == 201
    drain(settings, "run-4")

    labels = reranker_labels(settings.lake_root)
    rows = training_set(settings, labels, service="reranker_v1", created_before_label=True).table.to_pylist()
    kiln = {row["answer_id"]: row for row in rows if row["chunk_id"] == KILN.chunk_id()}
    first, second = kiln[answer["answer_id"]], kiln[again["answer_id"]]
    assert (first["relevant"], first["chunk_shown_count"], first["text"]) == (True, None, KILN.paragraphs[0])
    counts = [second[f"chunk_{name}_count"] for name in NAMES]
    assert (second["relevant"], counts) == (False, [1, 1, 1, 1, 0])
