from __future__ import annotations

import math

import numpy as np
import pytest

from ragstone.embedding.load import embedding_spec, load_embedder
from ragstone.embedding.openai_encoder import OpenAIEncoder, batches
from ragstone.runtime.errors import ConfigError, ContractError, DependencyUnavailableError
from ragstone.runtime.settings import EncoderSettings, load_settings
from tests.fake_openai import fake_openai


@pytest.fixture
def api():
    with fake_openai() as fake:
        yield fake


def encoder(api, **settings):
    return OpenAIEncoder(EncoderSettings(encoder="openai", model="small", url=api.url, **settings))


def unit(vector):
    return np.float32(np.array(vector) / np.linalg.norm(vector))


def test_vectors_come_in_the_order_of_the_texts_and_of_unit_length(api):
    api.spoil = lambda rows: rows[::-1]

    found = encoder(api).encode(["one", "two", "three"])

    np.testing.assert_allclose(found, [unit(api.vector(text)) for text in ("one", "two", "three")], rtol=1e-6)
    assert found.dtype == np.float32


def test_a_home_names_the_api_its_secret_and_its_prefixes_and_asks_for_the_dimension_once(api, home, monkeypatch):
    monkeypatch.setenv("EMBEDDING_KEY", "s3cret")
    settings = load_settings(
        home=home,
        embedding={
            "encoder": "openai",
            "model": "small",
            "url": api.url,
            "api_key": "env:EMBEDDING_KEY",
            "query_prefix": "query: ",
            "passage_prefix": "passage: ",
        },
    )

    spec = embedding_spec(settings)
    embedder = load_embedder(settings)
    chunk, question = embedder.encode(["a fox"])[0], embedder.encode_questions(["a fox"])[0]

    assert (spec.dim, embedder.spec, api.texts) == (8, spec, ["dimension", "passage: a fox", "query: a fox"])
    np.testing.assert_allclose(chunk, unit(api.vector("passage: a fox")), rtol=1e-6)
    np.testing.assert_allclose(question, unit(api.vector("query: a fox")), rtol=1e-6)
    assert {headers["authorization"] for headers in api.headers} == {"Bearer s3cret"}
    assert "s3cret" not in settings.model_dump_json()


def test_a_dimension_that_is_told_is_not_asked_for_and_held_against_the_answer(api, home):
    embedding = {"encoder": "openai", "model": "small", "url": api.url, "dim": 9}

    assert embedding_spec(load_settings(home=home, embedding=embedding)).dim == 9
    assert api.requests == []
    with pytest.raises(ContractError) as refused:
        load_embedder(load_settings(home=home, embedding=embedding)).encode(["a"])
    assert (refused.value.got, refused.value.wanted) == ("vectors of length 8", "length 9")


def test_what_may_pass_is_tried_again_and_not_before_the_api_allows_it(api):
    api.failures.extend([(429, {"retry-after": "0.3"}), (500, {"retry-after-ms": "1"}), (503, {"retry-after-ms": "1"})])

    found = encoder(api, dim=8).encode(["one"])

    assert found.shape == (1, 8)
    assert len(api.times) == 4
    assert api.times[1] - api.times[0] >= 0.3


@pytest.mark.parametrize(("status", "tries"), [(401, 1), (400, 1), (429, 3)])
def test_what_does_not_pass_ends_with_the_status_and_the_address(api, status, tries):
    api.failures.extend([(status, {"retry-after-ms": "1"})] * 10)

    with pytest.raises(DependencyUnavailableError) as failed:
        encoder(api, dim=8, retries=2).encode(["one"])

    assert (failed.value.got, failed.value.where, len(api.times)) == (f"HTTP {status}", api.url, tries)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda rows: rows[:-1],
        lambda rows: rows[:0],
        lambda rows: [{**row, "index": 0} for row in rows],
        lambda rows: [{**row, "embedding": [math.nan] * 8} for row in rows],
        lambda rows: [{**row, "embedding": [0.0] * 8} for row in rows],
        lambda rows: [{**rows[0], "embedding": rows[0]["embedding"][:-1]}, *rows[1:]],
    ],
    ids=["too few", "none", "one index twice", "NaN", "zeros", "two lengths"],
)
def test_an_answer_that_is_not_one_good_vector_per_text_is_refused(api, spoil):
    api.spoil = spoil

    with pytest.raises(ContractError, match="cannot be used"):
        encoder(api, dim=8).encode(["one", "two"])


def test_texts_are_sent_in_requests_of_so_many_tokens_and_a_longer_one_alone(api):
    texts = ["a" * 60, "b" * 60, "c" * 600, "d" * 60, "e" * 60, "f" * 60]

    found = encoder(api, dim=8, batch_tokens=50).encode(texts)

    assert [len(request["input"]) for request in api.requests] == [2, 1, 2, 1]
    np.testing.assert_allclose(found, [unit(api.vector(text)) for text in texts], rtol=1e-6)
    assert [len(batch) for batch in batches(["x"] * 5_000, 10**9)] == [2_048, 2_048, 904]


def test_nothing_in_sends_nothing(api):
    assert encoder(api, dim=8).encode([]).shape == (0, 8)
    assert api.requests == []


def test_without_an_address_nothing_is_sent_anywhere(home):
    with pytest.raises(ConfigError) as refused:
        embedding_spec(load_settings(home=home, embedding={"encoder": "openai"}))

    assert refused.value.where == "embedding.url"


def test_another_model_and_another_address_are_other_encoders(api, home):
    def hash_of(**changes):
        embedding = {"encoder": "openai", "model": "small", "url": api.url, "dim": 8, **changes}
        return embedding_spec(load_settings(home=home, embedding=embedding)).encoder_hash

    assert len({hash_of(), hash_of(model="large"), hash_of(url="http://127.0.0.1:1/v1"), hash_of(dim=9)}) == 4
    assert hash_of() == hash_of(batch_tokens=7, timeout_s=1, retries=0, price_per_million_tokens=1)
