"""The boundary every HTTP request crosses: its id, its size cap, its deadline, its duration, its last-resort error.

Pure ASGI, because a wrapper that builds request objects costs more than the rest of the service's own work.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars

from ragstone.runtime.errors import RagstoneError, TooLargeError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.metrics import API_RESPONSE_TIME_SECONDS
from ragstone.runtime.settings import ServingSettings
from serving.deadline import Deadline, deadline_exceeded
from serving.errors import problem_response

REQUEST_ID_HEADER: Final = b"x-request-id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,64}")


@dataclass(frozen=True)
class BodyCap:
    """How many bytes a request's body may have, and what a refusal says of it."""

    bytes_: int
    wanted: str
    next_step: str


_NO_CAPS: Final[Mapping[str, BodyCap]] = {}


class RequestBoundary:
    """Wraps the app. `scope["state"]` gains `request_id` (str) and `deadline` (Deadline).

    `body_caps` names the routes, as "POST /path", whose bodies may have more bytes than `serving.max_body_bytes`.
    """

    def __init__(self, app: ASGIApp, settings: ServingSettings, body_caps: Mapping[str, BodyCap] = _NO_CAPS) -> None:
        self._app = app
        self._settings = settings
        self._body_caps = body_caps
        self._default_cap = BodyCap(
            settings.max_body_bytes,
            f"at most {settings.max_body_bytes:,} bytes, and {settings.max_question_chars:,} characters in a question",
            "send a shorter question, or raise serving.max_body_bytes",
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, send)
        scope.setdefault("state", {}).update(
            request_id=exchange.request_id.decode(), deadline=Deadline.after_ms(self._settings.deadline_ms)
        )
        bind_contextvars(request_id=exchange.request_id.decode())
        try:
            await self._serve(scope, receive, exchange)
        finally:
            exchange.observe()

    async def _serve(self, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        try:
            async with asyncio.timeout(self._settings.deadline_ms / 1_000):
                cap = self._body_caps.get(exchange.where, self._default_cap)
                await self._app(scope, _Capped(scope, receive, cap), exchange.send)
        except TimeoutError:
            await exchange.refuse(deadline_exceeded(exchange.where, self._settings.deadline_ms))
        except Exception:  # noqa: BLE001  # whatever was not foreseen ends here, as an answer and a log entry
            get_logger(__name__).exception("request_crashed", where=exchange.where)
            await exchange.refuse(
                RagstoneError(
                    "the request failed for a reason that was not foreseen",
                    where=exchange.where,
                    next_step="look for the request id in the log of the service",
                )
            )


class _Exchange:
    """One request and its response: stamps the request id on the response and remembers its status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self.where = f"{scope['method']} {scope['path']}"
        self.request_id = _request_id(scope)
        self._scope = scope
        self._send = send
        self._status: int | None = None
        self._began = time.perf_counter()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, self.request_id)]
        await self._send(message)

    async def refuse(self, error: RagstoneError) -> None:
        """Send a problem, unless a response has begun: then the connection is all that can still break."""
        if self._status is None:
            await problem_response(error, self.request_id.decode())(self._scope, _nothing, self.send)

    def observe(self) -> None:
        # Labelled by the route's template, because paths hold ids and would grow the metric without bound.
        route = getattr(self._scope.get("route"), "path", "unmatched")
        elapsed = time.perf_counter() - self._began
        API_RESPONSE_TIME_SECONDS.labels(self._scope["method"], route, str(self._status or 499)).observe(elapsed)


class _Capped:
    """The request's body, refused where it grows past the cap."""

    def __init__(self, scope: Scope, receive: Receive, cap: BodyCap) -> None:
        self._scope = scope
        self._receive = receive
        self._cap = cap
        self._declared = _content_length(scope)
        self._received = 0

    async def __call__(self) -> Message:
        self._check(self._declared)
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            self._check(self._received)
        return message

    def _check(self, size_bytes: int) -> None:
        if size_bytes > self._cap.bytes_:
            # Inside an HTTPException, since those alone leave FastAPI's body reader as they are.
            raise HTTPException(413) from TooLargeError(
                "the request is too large",
                where=f"{self._scope['method']} {self._scope['path']}, body",
                got=f"{size_bytes:,} bytes",
                wanted=self._cap.wanted,
                next_step=self._cap.next_step,
            )


def _request_id(scope: Scope) -> bytes:
    """Return the caller's own request id where it is a plain word, else a new one."""
    given = next((value for name, value in scope["headers"] if name == REQUEST_ID_HEADER), b"")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16).encode()


def _content_length(scope: Scope) -> int:
    given = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
    return int(given) if given.isdigit() else 0


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
