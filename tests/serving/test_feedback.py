import json

import pytest

from ragstone.contracts.names import FEEDBACK_STREAM
from ragstone.contracts.stream_entries import from_entry
from ragstone.contracts.tables import FEEDBACK
from ragstone.runtime.redis_server import online_client
from tests.serving.test_chat import SECRET, ask
from tests.serving.world import BEES, KILN, PAYROLL, READER_KEY, STAFF_KEY, as_


def judge(service, key=None, **body):
    return service.post("/v1/feedback", json=body, headers=as_(key) if key else {})


def refused(response, status, what):
    assert (response.status_code, response.json()["what"]) == (status, what), response.text
    return response.json()


def stored(world, feedback_id):
    with online_client(world) as client:
        entries = [
            fields for _, fields in client.xrange(FEEDBACK_STREAM) if fields[b"feedback_id"] == feedback_id.encode()
        ]
    [entry] = entries
    return from_entry(FEEDBACK, {name.decode(): value.decode() for name, value in entry.items()})


def test_a_judgement_is_written_in_the_columns_of_its_table(service, world):
    answer = ask(service, key=READER_KEY)
    said = {"thumbs": "down", "corrected_answer": "1240 °C \u2013 «ja»", "comment": "too long"}
    response = judge(service, READER_KEY, answer_id=answer["answer_id"], chosen_chunk_id=KILN.chunk_id(), **said)

    assert response.status_code == 201
    assert response.json()["answer_id"] == answer["answer_id"]
    row = stored(world, response.json()["feedback_id"])
    assert tuple(row) == FEEDBACK.column_names
    assert (row["answer_id"], row["principal"], row["score"]) == (answer["answer_id"], "reader", -1)
    assert (row["chunk_id"], row["corrected_answer"], row["comment"]) == (
        KILN.chunk_id(),
        "1240 °C \u2013 «ja»",
        "too long",
    )


@pytest.mark.parametrize(("said", "score"), [({"thumbs": "up"}, 1), ({"comment": "so-so"}, 0)])
def test_what_is_not_said_is_null(service, world, said, score):
    response = judge(service, answer_id=ask(service)["answer_id"], **said)

    row = stored(world, response.json()["feedback_id"])
    assert (row["principal"], row["score"], row["chunk_id"], row["corrected_answer"]) == (
        "anonymous",
        score,
        None,
        None,
    )


@pytest.mark.parametrize("key", [STAFF_KEY, None])
def test_nobody_judges_an_answer_of_somebody_else(service, key):
    answer = ask(service, key=READER_KEY)

    refused(judge(service, key, answer_id=answer["answer_id"], thumbs="up"), 404, "there is no such answer")


def test_an_answer_that_was_never_given_is_not_judged(service):
    refused(judge(service, answer_id="0" * 32, thumbs="up"), 404, "there is no such answer")


def test_a_chunk_that_the_gate_dropped_cannot_be_chosen(service):
    answer = ask(service, SECRET, READER_KEY)
    lineage = service.get(f"/v1/answers/{answer['answer_id']}/lineage", headers=as_(READER_KEY)).json()
    assert {hit["chunk_id"]: hit["gate"] for hit in lineage["hits"]}[PAYROLL.chunk_id()] == "forbidden"

    for chunk_id in (PAYROLL.chunk_id(), "f" * 32):
        response = judge(service, READER_KEY, answer_id=answer["answer_id"], chosen_chunk_id=chunk_id)
        refused(response, 422, "this chunk was not shown with the answer")


def test_a_passage_that_was_shown_and_not_cited_can_be_chosen(service):
    answer = ask(service)
    assert BEES.chunk_id() not in {citation["chunk_id"] for citation in answer["citations"]}

    assert judge(service, answer_id=answer["answer_id"], chosen_chunk_id=BEES.chunk_id()).status_code == 201


def test_feedback_that_says_nothing_is_refused(service):
    refused(judge(service, answer_id=ask(service)["answer_id"]), 422, "nothing is said of the answer")


@pytest.mark.parametrize(
    "body",
    [{"thumbs": "sideways"}, {"chosen_chunk_id": "no id"}, {"comment": ""}, {"principal": "reader"}, {"score": 1}],
)
def test_a_body_of_another_shape_is_refused(service, body):
    assert judge(service, answer_id="0" * 32, **{"thumbs": "up", **body}).status_code == 422


def test_half_a_surrogate_pair_is_refused(service):
    content = json.dumps({"answer_id": ask(service)["answer_id"], "comment": "\ud800"})
    response = service.post("/v1/feedback", content=content, headers={"Content-Type": "application/json"})

    assert response.status_code == 422
