"""What is not taken in over HTTP: each refusal names its facts, and the next request is served."""

import json

import pytest

from tests.serving.world import as_

GOOD = {"user": "How many degrees did the kiln at Aldermoor reach?"}


@pytest.fixture(autouse=True)
def neighbours_are_served(service):
    yield
    assert service.post("/chat", json=GOOD).status_code == 200


def problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    assert {"type", "title", "what"} <= document.keys()
    return document


def test_a_question_of_100_000_characters(service):
    refused = problem(service.post("/chat", json={"user": "x" * 100_000}), 413)

    assert refused["where"] == "POST /chat, body"
    assert refused["got"] == "100,011 bytes"
    assert refused["wanted"] == "at most 65,536 bytes, and 4,000 characters in a question"


def test_a_body_without_a_declared_length_that_grows_too_large(service):
    def pieces():
        yield b'{"user": "'
        for _ in range(100):
            yield b"x" * 1_000

    refused = problem(service.post("/chat", content=pieces(), headers={"content-type": "application/json"}), 413)

    assert refused["what"] == "the request is too large"


def test_a_question_longer_than_the_setting_allows(service):
    refused = problem(service.post("/chat", json={"user": "x" * 4_001}), 413)

    assert (refused["where"], refused["got"]) == ("POST /chat, body.user", "4,001 characters")
    assert refused["wanted"] == "at most 4,000 characters"


@pytest.mark.parametrize("body", [b"{", b'{"user": "x",}', b"user=x", b"\xff\xfe", b"[" * 60_000])
def test_malformed_json(service, body):
    refused = problem(service.post("/chat", content=body, headers={"content-type": "application/json"}), 400)

    assert refused["where"].startswith("POST /chat")
    assert refused["got"]
    assert refused["wanted"].startswith("a JSON object")


def test_a_body_that_is_not_declared_as_json(service):
    refused = problem(service.post("/chat", content=b"{}", headers={"content-type": "text/plain"}), 422)

    assert (refused["got"], refused["wanted"]) == ("text/plain", "application/json")


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        ({}, "body.user", "body.user is missing"),
        ({"user": 7}, "body.user", "body.user is not usable"),
        ({"user": "x", "sesion_id": "a"}, "body.sesion_id", "there is no field 'sesion_id'"),
        ({"user": "x", "session_id": "a b"}, "body.session_id", "body.session_id is not usable"),
        ({"user": " \n"}, "body.user", "the question is empty"),
        (["x"], "body", "body is not usable"),
    ],
)
def test_a_body_of_another_shape(service, body, where, what):
    refused = problem(service.post("/chat", json=body), 422)

    assert refused["where"] == f"POST /chat, {where}"
    assert refused["what"] == what


def test_half_of_a_surrogate_pair(service):
    body = b'{"user": "kiln \\ud800"}'

    refused = problem(service.post("/chat", content=body, headers={"content-type": "application/json"}), 422)

    assert refused["where"] == "POST /chat, body.user"


def test_what_was_sent_is_shown_cut_short(service):
    refused = problem(service.post("/chat", json={"user": ["y" * 10_000]}), 422)

    assert len(refused["got"]) < 200


def test_a_key_that_nobody_has(service):
    refused = service.post("/chat", json=GOOD, headers=as_("not-a-key"))

    assert problem(refused, 401)["wanted"].startswith("a key whose SHA-256")
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "not-a-key" not in refused.text
    assert problem(service.post("/chat", json=GOOD, headers={"X-API-Key": "not-a-key"}), 401)


def test_a_path_and_a_method_that_are_not_there(service):
    assert problem(service.get("/nothing"), 404)["where"] == "GET /nothing"
    assert problem(service.get("/chat"), 405)["where"] == "GET /chat"


@pytest.mark.parametrize("path", ["/v1/chunks/x", "/v1/chunks/" + "g" * 32, "/v1/answers/..%2f/lineage"])
def test_an_id_that_is_none(service, path):
    assert service.get(path).status_code in (404, 422)


def test_a_request_id_is_kept_where_it_is_a_plain_word_and_made_up_elsewhere(service):
    assert service.get("/health/live", headers={"X-Request-ID": "abc-1"}).headers["x-request-id"] == "abc-1"
    strange = service.get("/health/live", headers={"X-Request-ID": 'a b"<'}).headers["x-request-id"]
    assert len(strange) == 32
    assert json.loads(service.post("/chat", content=b"{").text)["request_id"]
