import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from ragstone.runtime.errors import GenerationError
from ragstone.runtime.settings import LlmSettings
from serving.generation.openai_chat import Completion, OpenAIChat
from tests.fake_openai import FakeOpenAI, fake_openai


@pytest.fixture
def fake() -> Iterator[FakeOpenAI]:
    with fake_openai() as server:
        yield server


def complete(llm: LlmSettings, timeout_s: float = 10.0) -> Completion:
    async def one_call() -> Completion:
        chat = OpenAIChat(llm)
        try:
            return await chat.complete("the rules", "the message", timeout_s)
        finally:
            await chat.close()

    return asyncio.run(one_call())


def test_the_model_is_asked_once_with_rules_message_and_settings(fake):
    fake.says("Blue [1].")

    assert complete(LlmSettings(url=fake.url, model="small", temperature=0.0)) == Completion(
        "Blue [1].", tokens_in=7, tokens_out=3
    )
    [request] = fake.requests
    assert (request["model"], request["temperature"]) == ("small", 0.0)
    assert [(message["role"], message["content"]) for message in request["messages"]] == [
        ("system", "the rules"),
        ("user", "the message"),
    ]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_an_error_of_the_server_is_told_once_and_not_retried(fake, status):
    fake.fails(status)

    with pytest.raises(GenerationError) as failed:
        complete(LlmSettings(url=fake.url))

    assert (failed.value.reason, failed.value.got) == ("failed", f"HTTP {status}")
    assert failed.value.where == fake.url
    assert len(fake.requests) == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"not json", b"[]", b"null", b'{"choices": null}', b'{"choices": []}', b'{"error": {}}', b"\xff"],
)
def test_a_body_that_is_no_completion_is_a_failure_of_the_model(fake, body):
    fake.sends(body)

    with pytest.raises(GenerationError):
        complete(LlmSettings(url=fake.url))

    assert len(fake.requests) == 1


def test_an_empty_answer_is_a_failure_of_the_model(fake):
    fake.says("  \n")

    with pytest.raises(GenerationError) as failed:
        complete(LlmSettings(url=fake.url))

    assert failed.value.reason == "empty"


@pytest.mark.parametrize("way", ["hangs", "drips"])
def test_a_server_that_never_ends_is_given_up_at_the_deadline(fake, way):
    fake.way = way

    with pytest.raises(GenerationError) as failed:
        complete(LlmSettings(url=fake.url), timeout_s=0.3)

    assert failed.value.reason == "late"
    assert "0.3 s" in failed.value.got


def test_a_server_that_is_given_up_sees_the_connection_close(fake):
    fake.way = "drips"

    with pytest.raises(GenerationError):
        complete(LlmSettings(url=fake.url), timeout_s=0.3)

    assert fake.dropped.wait(10)


def test_the_setting_bounds_the_wait_where_the_request_would_wait_longer(fake):
    fake.way = "hangs"

    with pytest.raises(GenerationError) as failed:
        complete(LlmSettings(url=fake.url, timeout_s=0.2), timeout_s=60.0)

    assert "0.2 s" in failed.value.got


def test_nothing_listening_is_a_failure_of_the_model():
    with fake_openai() as gone:
        pass

    with pytest.raises(GenerationError):
        complete(LlmSettings(url=gone.url))


ONE_CALL = """
import asyncio, sys
from langchain_core.tracers.langchain import wait_for_all_tracers
from ragstone.runtime.settings import LlmSettings
from serving.generation.openai_chat import OpenAIChat

async def one_call():
    chat = OpenAIChat(LlmSettings(url=sys.argv[1]))
    sys.stdout.write((await chat.complete("the rules", "the message", 10.0)).text)
    await chat.close()

asyncio.run(one_call())
wait_for_all_tracers()
"""


def complete_elsewhere(fake: FakeOpenAI, **variables: str) -> str:
    """Return what one call gives in a process of its own: the libraries remember the environment they first saw."""
    called = subprocess.run(
        [sys.executable, "-c", ONE_CALL, fake.url], env={**os.environ, **variables}, capture_output=True, text=True
    )
    assert called.returncode == 0, called.stderr
    return called.stdout


def test_proxies_and_accounts_of_other_tools_are_not_used(fake):
    fake.says("Blue [1].")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_PROXY", "OPENAI_API_BASE", "OPENAI_BASE_URL")
    accounts = ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID")
    variables = {**dict.fromkeys(proxies, "http://127.0.0.1:9"), **dict.fromkeys(accounts, "of-another-tool")}

    assert complete_elsewhere(fake, **variables) == "Blue [1]."
    assert "of-another-tool" not in " ".join(fake.headers[0].values())


def test_nothing_is_traced_to_langsmith(fake):
    fake.says("Blue [1].")

    complete_elsewhere(fake, LANGSMITH_TRACING="true", LANGSMITH_API_KEY="of-another-tool", LANGSMITH_ENDPOINT=fake.url)

    assert fake.paths == ["/v1/chat/completions"]
