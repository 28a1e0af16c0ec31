"""The one table from errors to HTTP, and the problem document (RFC 9457) that every refusal is.

A problem has `type`, `title`, `status` and the facts of the error: `what`, and where known `where`, `got`, `wanted` and
`next`, besides the `request_id` under which the log knows the request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ragstone.runtime.errors import (
    BadInputError,
    ConflictError,
    DeadlineExceededError,
    DependencyUnavailableError,
    ForbiddenError,
    IndexIncompatibleError,
    NotFoundError,
    RagstoneError,
    TooLargeError,
    UnauthenticatedError,
    UsageError,
)
from ragstone.runtime.logging import get_logger

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
_SHOWN_CHARS: Final = 80
_RETRY_AFTER_S: Final = "1"

# Most specific first: the first kind that matches decides.
_STATUSES: Final[tuple[tuple[type[RagstoneError], int, str], ...]] = (
    (TooLargeError, 413, "Too large"),
    (BadInputError, 422, "Not usable"),
    (UsageError, 422, "Not usable"),
    (UnauthenticatedError, 401, "Unknown key"),
    (ForbiddenError, 403, "Not allowed"),
    (NotFoundError, 404, "Not found"),
    (ConflictError, 409, "In conflict"),
    (DeadlineExceededError, 504, "Too late"),
    (DependencyUnavailableError, 503, "Not available now"),
    (IndexIncompatibleError, 503, "Not available now"),
)


class Problem(BaseModel):
    """A refusal: the kind of error, the HTTP status, and the error's facts as far as they are known."""

    type: str
    title: str
    status: int
    what: str
    where: str | None = None
    got: str | None = None
    wanted: str | None = None
    next: str | None = None
    request_id: str


class MalformedRequestError(UsageError):
    """The body is no JSON at all, so there is nothing whose fields could be judged."""


def status_of(error: RagstoneError) -> tuple[int, str]:
    """Return the HTTP status of an error and the title of its kind; what has no row is an internal error."""
    if isinstance(error, MalformedRequestError):
        return 400, "Malformed"
    return next(((status, title) for kind, status, title in _STATUSES if isinstance(error, kind)), (500, "Failed"))


def problem_response(error: RagstoneError, request_id: str) -> Response:
    """Return the problem document of an error as a response."""
    status, title = status_of(error)
    document = {
        "type": f"urn:ragstone:{_slug(type(error))}",
        "title": title,
        "status": status,
        "what": error.what,
        **error.facts(),
        "request_id": request_id,
    }
    return Response(_encoded(document), status, _headers(status), PROBLEM_MEDIA_TYPE)


def install_error_handlers(app: FastAPI) -> None:
    """Make every refusal of the app a problem document."""
    app.add_exception_handler(RagstoneError, _on_ragstone_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


def request_id_of(request: Request) -> str:
    """Return the id that the request boundary gave this request."""
    return str(request.scope["state"]["request_id"])


async def _on_ragstone_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RagstoneError)
    if status_of(error)[0] >= 500:
        get_logger(__name__).error("request_failed", path=request.url.path, what=error.what, **error.facts())
    return problem_response(error, request_id_of(request))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(_request_error(request, error.errors()[0]), request_id_of(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    if isinstance(error.__cause__, RagstoneError):
        return problem_response(error.__cause__, request_id_of(request))
    if error.status_code == 404:
        missing = NotFoundError("there is nothing at this path", where=where, next_step="GET /openapi.json lists all")
        return problem_response(missing, request_id_of(request))
    if error.status_code == 400:
        return problem_response(_unreadable(where), request_id_of(request))
    document = {
        "type": "about:blank",
        "title": str(error.detail),
        "status": error.status_code,
        "what": str(error.detail),
        "where": where,
        "request_id": request_id_of(request),
    }
    return Response(_encoded(document), error.status_code, dict(error.headers or {}), PROBLEM_MEDIA_TYPE)


def _unreadable(where: str) -> MalformedRequestError:
    return MalformedRequestError(
        "the body cannot be read", where=where, got="bytes that no JSON reader accepts", wanted="a JSON object in UTF-8"
    )


def _request_error(request: Request, first: Mapping[str, Any]) -> UsageError:
    where = f"{request.method} {request.url.path}"
    if first["type"] == "json_invalid":
        return MalformedRequestError(
            "the body is not JSON",
            where=f"{where}, character {first['loc'][-1]} of the body",
            got=first["ctx"]["error"],
            wanted="a JSON object",
        )
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] in ("model_attributes_type", "dict_type") and isinstance(first["input"], bytes):
        return UsageError(
            "the body is not declared as JSON",
            where=f"{where}, header Content-Type",
            got=request.headers.get("content-type"),
            wanted="application/json",
        )
    return UsageError(
        _violations(first, place),
        where=f"{where}, {place}",
        got=None if first["type"] == "missing" else shown(first["input"]),
        wanted=first["msg"],
        next_step="GET /openapi.json describes every field",
    )


def _violations(first: Mapping[str, Any], place: str) -> str:
    if first["type"] == "missing":
        return f"{place} is missing"
    if first["type"] == "extra_forbidden":
        return f"there is no field {shown(first['loc'][-1])}"
    return f"{place} is not usable"


def shown(value: object) -> str:
    """Return a value for an error message: one line of ASCII, cut to a readable length."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}… ({len(text):,} characters)"


def _slug(kind: type[RagstoneError]) -> str:
    if kind is RagstoneError:
        return "internal"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__.removesuffix("Error")).lower()


def _encoded(document: Mapping[str, Any]) -> bytes:
    # Facts may quote what was sent, half of a surrogate pair included; those become question marks.
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def _headers(status: int) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": "Bearer"}
    return {"Retry-After": _RETRY_AFTER_S} if status == 503 else {}
