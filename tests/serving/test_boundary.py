import asyncio

import httpx2
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware

from ragstone.runtime import errors
from ragstone.runtime.settings import ServingSettings
from serving.boundary import RequestBoundary
from serving.errors import install_error_handlers, status_of


@pytest.fixture
def app():
    app = FastAPI(middleware=[Middleware(RequestBoundary, settings=ServingSettings(deadline_ms=100))])
    install_error_handlers(app)

    @app.get("/slow")
    async def slow() -> None:
        await asyncio.Event().wait()

    @app.get("/crash")
    async def crash() -> None:
        raise ZeroDivisionError("the secret of the crash")

    return app


def get(app, path):
    async def one_call():
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://service") as client:
            return await client.get(path)

    return asyncio.run(one_call())


def test_a_request_past_its_deadline_is_given_up_with_its_facts(app):
    late = get(app, "/slow")

    assert late.status_code == 504
    assert (late.json()["where"], late.json()["wanted"]) == ("GET /slow", "an answer within 100 ms")


def test_what_was_not_foreseen_says_nothing_but_where_to_look(app):
    crashed = get(app, "/crash")

    assert crashed.status_code == 500
    assert "secret" not in crashed.text
    assert crashed.json()["request_id"] == crashed.headers["x-request-id"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.UsageError("x"), 422),
        (errors.BadInputError("x"), 422),
        (errors.TooLargeError("x"), 413),
        (errors.UnauthenticatedError("x"), 401),
        (errors.ForbiddenError("x"), 403),
        (errors.NotFoundError("x"), 404),
        (errors.RetrievalUnavailableError("x"), 503),
        (errors.DependencyUnavailableError("x"), 503),
        (errors.DeadlineExceededError("x"), 504),
        (errors.IndexIncompatibleError("x"), 503),
        (errors.ContractError("x"), 500),
        (errors.RagstoneError("x"), 500),
    ],
)
def test_every_kind_of_error_has_its_status(error, status):
    assert status_of(error)[0] == status
