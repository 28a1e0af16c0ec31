"""The chat service: `uvicorn --factory serving.app:create_app`, or `ragstone serve`. Importing this does nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware

from ragstone.runtime.errors import RagstoneError
from ragstone.runtime.logging import configure_logging, get_logger
from ragstone.runtime.settings import Settings, load_settings
from ragstone.runtime.source_settings import PushSource
from serving.boundary import BodyCap, RequestBoundary
from serving.errors import PROBLEM_MEDIA_TYPE, Problem, install_error_handlers
from serving.routes import answers, chat, chunks, documents, feedback, health, search
from serving.services import open_services

_ROUTERS: Final = tuple(route.router for route in (chat, search, chunks, documents, answers, feedback, health))
_KEY_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "an API key"},
    "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/Problem"}


def create_app(settings: Settings | None = None) -> FastAPI:
    """Return the app for these settings, by default those of the environment.

    It loads nothing before its lifespan begins, and refuses to begin when the index does not fit the encoder.
    """
    chosen = load_settings() if settings is None else settings
    # Pages that would load scripts from elsewhere are left out; the description itself is at /openapi.json.
    app = FastAPI(
        title="Ragstone",
        summary="Answers from your documents, with citations.",
        version="1",
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        middleware=[Middleware(RequestBoundary, settings=chosen.serving, body_caps=_body_caps(chosen))],
    )
    app.state.settings = chosen
    app.state.refusal = None
    install_error_handlers(app)
    for router in _ROUTERS:
        app.include_router(router)
    app.openapi = lambda: _description(app)  # type: ignore[method-assign]
    return app


def _body_caps(settings: Settings) -> dict[str, BodyCap]:
    """Return the routes that take large bodies: documents, where a source is there to push them to."""
    if not any(isinstance(source, PushSource) for source in settings.sources.values()):
        return {}
    most = settings.serving.max_push_bytes
    wanted, next_step = f"at most {most:,} bytes", "push fewer documents at once, or raise serving.max_push_bytes"
    return {f"POST {documents.PATH}": BodyCap(most, wanted, next_step)}


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    configure_logging(settings.log)
    try:
        app.state.services = open_services(settings)
    except RagstoneError as refusal:
        # Servers know a failed start only as such; whoever started one finds here what to say and how to exit.
        app.state.refusal = refusal
        get_logger(__name__).error("service_refused_to_start", what=refusal.what, **refusal.facts())
        raise
    try:
        yield
    finally:
        await app.state.services.close()


def _description(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document: keys are optional everywhere, and every refusal is a problem document."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        document["components"]["securitySchemes"] = _KEY_SCHEMES
        document["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        document["security"] = [{}, *({name: []} for name in _KEY_SCHEMES)]
        for path in document["paths"].values():
            for operation in path.values():
                operation["responses"].pop("422", None)
                operation["responses"]["default"] = _problem_response()
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _problem_response() -> dict[str, Any]:
    return {"description": "A refusal, and why.", "content": {PROBLEM_MEDIA_TYPE: {"schema": _PROBLEM_SCHEMA}}}
