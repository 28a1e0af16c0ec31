"""The language model behind the service: a known context, every way it fails, and citations checked against it."""

from collections.abc import Iterator

import httpx2
import pytest

from serving.answering import OFFLINE_TEXT
from serving.index import build
from tests.fake_openai import FakeOpenAI, fake_openai
from tests.serving.world import KILN, PAYROLL, as_, served, world_settings

QUESTION = "How many degrees did the kiln at Aldermoor reach?"


@pytest.fixture(scope="module")
def model() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


@pytest.fixture(scope="module")
def generative(world, model) -> Iterator[httpx2.Client]:
    llm = {"url": model.url, "timeout_s": 0.5, "model": "small"}
    with served(world_settings(world.home, llm=llm)) as client:
        yield client


def ask(client, user=QUESTION, **body):
    response = client.post("/chat", json={"user": user, **body})
    assert response.status_code == 200, response.text
    return response.json()


def test_the_model_is_shown_the_retrieved_passages_and_the_rules(generative, model):
    model.says("It reached 1240 degrees [1].")

    ask(generative)

    rules, message = (part["content"] for part in model.messages)
    assert "and from nothing else" in rules
    assert "I don't know." in rules
    assert f'<passage number="1" title="kiln.md">\n{KILN.paragraphs[0]}\n</passage>' in message
    assert message.count("<passage ") == 4
    assert message.endswith(f"Question: {QUESTION}")
    assert PAYROLL.paragraphs[0] not in message


def test_the_answer_is_cited_by_the_sentence_nearest_to_what_it_says(generative, model):
    model.says("It reached 1240 degrees in eleven hours [1].")

    answer = ask(generative)

    assert answer["answer"] == "It reached 1240 degrees in eleven hours [1]."
    [citation] = answer["citations"]
    assert (citation["marker"], citation["chunk_id"]) == (1, KILN.chunk_id())
    assert citation["quote"] == "It reached 1240 degrees in eleven hours."
    assert KILN.text[citation["char_start"] : citation["char_end"]] == citation["quote"]
    assert (answer["degraded"], answer["abstained"]) == (False, False)


def test_the_model_may_say_that_it_does_not_know(generative, model):
    model.says("I don\u2019t know.")

    answer = ask(generative)

    assert (answer["answer"], answer["abstained"], answer["citations"]) == ("I don't know.", True, [])


def test_a_question_without_an_answer_does_not_reach_the_model(generative, model):
    asked = len(model.requests)

    assert ask(generative, "Who won the football world cup in 1998?")["abstained"]
    assert len(model.requests) == asked


def test_a_citation_of_what_was_not_packed_is_taken_out(generative, model):
    model.says("It reached 1240 degrees [1][9].")

    answer = ask(generative)

    assert answer["answer"] == "It reached 1240 degrees [1]."
    assert {citation["marker"] for citation in answer["citations"]} == {1}
    assert not answer["degraded"]


@pytest.mark.parametrize("text", ["It reached 900 degrees [9].", "It reached 900 degrees."])
def test_an_answer_that_rests_on_nothing_it_was_shown_is_not_given(generative, model, text):
    model.says(text)

    answer = ask(generative)

    assert "900" not in answer["answer"]
    assert answer["degraded"]
    assert "without citing" in answer["degraded_reason"]
    assert answer["citations"][0]["chunk_id"] == KILN.chunk_id()


@pytest.mark.parametrize("fault", ["429", "500", "hangs", "malformed"])
def test_without_the_model_the_answer_is_extractive_and_says_so(generative, model, fault):
    if fault == "hangs":
        model.way = "hangs"
    elif fault == "malformed":
        model.sends(b'{"choices": [{')
    else:
        model.fails(int(fault))
    asked = len(model.requests)

    answer = ask(generative)

    assert answer["degraded"]
    assert answer["degraded_reason"].startswith("the language model")
    assert "1240 degrees" in answer["answer"]
    assert answer["citations"][0]["chunk_id"] == KILN.chunk_id()
    assert len(model.requests) == asked + 1


def test_the_service_lives_while_the_model_hangs(generative, model):
    model.way = "hangs"

    with httpx2.Client(base_url=generative.base_url, trust_env=False) as other:
        answer = ask(other)
        assert other.get("/health/ready").json()["generation"] == "small"
    assert answer["degraded"]


def test_earlier_questions_are_told_and_earlier_answers_are_not(generative, model):
    model.says("It reached 1240 degrees, as the cat said [1].")
    first = ask(generative)

    ask(generative, "What wood was the old kiln at Aldermoor fired with?", session_id=first["session_id"])

    message = model.messages[1]["content"]
    assert f"- {QUESTION}" in message
    assert "as the cat said" not in message


def test_with_nothing_to_quote_the_fixed_text_is_given(own_world, model):
    # Every question counts as answerable here, so that one reaches the model which shares no word with any passage.
    always = own_world.abstain.model_copy(update={"intercept": 50.0})
    llm = own_world.llm.model_copy(update={"url": model.url})
    settings = own_world.model_copy(update={"abstain": always, "llm": llm})
    build.run(settings, "run-2")
    model.fails(500)
    with served(settings) as client:
        answer = ask(client, "Quelle température?")

    assert (answer["answer"], answer["degraded"], answer["citations"]) == (OFFLINE_TEXT, True, [])


def test_the_answer_comes_within_the_deadline_when_the_model_would_take_longer(world, model):
    model.way = "hangs"
    settings = world_settings(world.home, llm={"url": model.url, "timeout_s": 60}, serving={"deadline_ms": 1_500})
    with served(settings) as client:
        answer = ask(client)

    assert answer["degraded"]
    assert answer["timings_ms"]["total"] < 1_500


def test_the_model_is_never_shown_what_the_caller_may_not_read(generative, model):
    model.says("I don't know.")
    asked = len(model.requests)

    ask(generative, "What is the payroll password hint of the director's parrot?")

    assert all(
        "parrot is" not in str(request) and PAYROLL.paragraphs[0] not in str(request)
        for request in model.requests[asked:]
    )
    assert generative.get(f"/v1/chunks/{PAYROLL.chunk_id()}", headers=as_("key-of-staff")).status_code == 200
