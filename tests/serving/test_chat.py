import json
import logging

from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import RETRIEVALS
from ragstone.features.marker import read_marker
from ragstone.runtime.redis_server import online_client
from serving.events import RetrievalLog
from serving.index.snapshot import open_current
from serving.served_state import ServedState
from tests.serving.world import FERRY, KILN, PAYROLL, READER_KEY, STAFF_KEY, as_

QUESTION = "How many degrees did the kiln at Aldermoor reach?"
SECRET = "What is the payroll password hint?"


def ask(service, user=QUESTION, key=None, **body):
    response = service.post("/chat", json={"user": user, **body}, headers=as_(key) if key else {})
    assert response.status_code == 200, response.text
    return response.json()


def test_an_answer_quotes_the_silver_text_where_its_citation_says(service):
    answer = ask(service)

    first = answer["citations"][0]
    assert first["document_id"] == KILN.document_id
    assert KILN.text[first["char_start"] : first["char_end"]] == first["quote"]
    assert "1240 degrees" in " ".join(citation["quote"] for citation in answer["citations"])
    assert f"“{first['quote']}” [1]" in answer["answer"]
    assert (answer["abstained"], answer["degraded"], answer["degraded_reason"]) == (False, False, None)


def test_every_citation_opens_at_the_passage_that_holds_its_quote(service):
    citations = ask(service)["citations"]

    assert citations
    for citation in citations:
        passage = service.get(citation["url"])
        assert passage.status_code == 200
        start = citation["char_start"] - passage.json()["char_start"]
        assert passage.json()["text"][start:].startswith(citation["quote"])


def test_a_quote_over_two_lines_is_exact_in_the_citation_and_one_line_in_the_answer(service):
    answer = ask(service, "What were glazes mixed from?")

    assert answer["citations"][0]["quote"] == "Glazes were mixed from river clay and ash."
    assert "\n" not in answer["answer"]


def test_a_question_that_nothing_answers_is_not_answered(service):
    answer = ask(service, "Who won the football world cup in 1998?")

    assert (answer["answer"], answer["citations"], answer["abstained"]) == ("I don't know.", [], True)


def test_nobody_is_answered_from_what_they_may_not_read(service):
    assert ask(service, SECRET)["abstained"]
    assert ask(service, SECRET, READER_KEY)["abstained"]
    assert "parrot" in ask(service, SECRET, STAFF_KEY)["answer"]


def test_who_asks_cannot_be_said_in_the_body(service):
    refused = service.post("/chat", json={"user": SECRET, "groups": ["staff"]})

    assert refused.status_code == 422
    assert "parrot" not in refused.text


def test_timings_name_every_stage_and_the_total(service):
    timings = ask(service)["timings_ms"]

    assert {"embed", "search", "gate", "session", "retrieve", "extract", "record", "total"} <= timings.keys()
    assert timings["total"] >= timings["retrieve"] > 0


def test_the_retrieved_ids_are_logged_for_each_question(service, caplog):
    with caplog.at_level(logging.INFO, "serving.answering"):
        answer = ask(service)

    [logged] = [record.msg for record in caplog.records if answer["answer_id"] in str(record.msg)]
    assert KILN.chunk_id() in logged["retrieved"]
    assert QUESTION not in str(logged)


def test_the_event_has_the_columns_of_its_table(service, world):
    answer = ask(service, SECRET, READER_KEY)

    with online_client(world) as client:
        entry_id = client.get(f"ragstone:answer:{answer['answer_id']}")
        [(_, entry)] = client.xrange("ragstone:retrievals", entry_id, entry_id)
    event = {name.decode(): value.decode() for name, value in entry.items()}
    assert tuple(event) == RETRIEVALS.column_names
    assert (event["question"], event["principal"]) == (SECRET, "reader")
    assert json.loads(event["principal_groups"]) == ["public"]
    decisions = {hit["chunk_id"]: hit["gate"] for hit in json.loads(event["hits"])}
    assert decisions[PAYROLL.chunk_id()] == "forbidden"
    assert "passed" in decisions.values()


def test_the_event_says_what_a_replay_has_to_know(service, world):
    answer = ask(service)

    with online_client(world) as client:
        event = RetrievalLog(client, ttl_s=60).find(answer["answer_id"])
        filled_at = read_marker(client, world.feast.project).filled_at()
    state, manifest = ServedState.model_validate_json(event.served_state), open_current(world).manifest
    assert (state.k, state.space, state.index_kind) == (world.serving.top_k, manifest.space, "flat")
    assert state.indexed == AsOf(known_by=None, written_by=manifest.built_at)
    assert state.online_filled_at == filled_at
    assert (state.abstain.coefficients, state.abstain.evidence) == (manifest.abstain.coefficients, {})
    assert {hit["document_id"] for hit in json.loads(event.hits)} >= {KILN.document_id, FERRY.document_id}


def test_a_conversation_counts_its_turns_and_keeps_its_id(service):
    first = ask(service, key=READER_KEY)
    second = ask(service, "When does the ferry to Skarvik leave?", READER_KEY, session_id=first["session_id"])

    assert (first["turn"], second["turn"]) == (1, 2)
    assert second["session_id"] == first["session_id"]
    assert second["citations"][0]["document_id"] == FERRY.document_id


def test_a_conversation_belongs_to_who_began_it(service):
    first = ask(service, key=READER_KEY)

    for stranger in (STAFF_KEY, None):
        assert ask(service, key=stranger, session_id=first["session_id"])["turn"] == 1
    assert ask(service, key=READER_KEY, session_id=first["session_id"])["turn"] == 2


def test_a_caller_may_name_a_conversation(service):
    assert ask(service, session_id="my-notes")["session_id"] == "my-notes"
    assert ask(service, session_id="my-notes")["turn"] == 2
