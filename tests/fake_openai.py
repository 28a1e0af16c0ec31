"""A written fake of an OpenAI-compatible server for embeddings and chat: real HTTP on loopback, with its failures."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Rows = list[dict[str, Any]]


@dataclass
class FakeOpenAI:
    """Answers every request in the way it is told to, and keeps what it was asked and when.

    Ways: `answers` (a chat completion that says `text`, or a vector that follows from each text), `status` (an error),
    `body` (whatever it is), `hangs` (no answer until released), `drips` (a byte at a time, never an end).
    `failures` come before that, one a request: a status and headers. `spoil` changes the rows of an embedding answer.
    """

    url: str = ""
    way: str = "answers"
    text: str = "I don't know."
    status: int = 200
    body: bytes = b""
    dim: int = 8
    failures: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    spoil: Callable[[Rows], Rows] = lambda rows: rows
    paths: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    dropped: threading.Event = field(default_factory=threading.Event)

    def says(self, text: str) -> None:
        self.way, self.text = "answers", text

    def fails(self, status: int) -> None:
        self.way, self.status = "status", status

    def sends(self, body: bytes) -> None:
        self.way, self.body = "body", body

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages of the last request."""
        return self.requests[-1]["messages"]

    @property
    def texts(self) -> list[str]:
        """Every text that was sent to be embedded, in order."""
        return [text for request in self.requests for text in request.get("input", ())]

    def vector(self, text: str) -> list[float]:
        """What the server says of a text: not of unit length."""
        digest = hashlib.sha256(text.encode()).digest()
        return [byte / 16 - 8 + 1 / 3 for byte in digest[: self.dim]]


@contextmanager
def fake_openai() -> Iterator[FakeOpenAI]:
    fake = FakeOpenAI()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: ClassVar[FakeOpenAI]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.fake.paths.append(self.path)
        if self.path not in _ANSWERS:
            self.send_error(404)
            return
        self.fake.times.append(time.monotonic())
        self.fake.requests.append(json.loads(body))
        self.fake.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.fake.failures:
            self._error(*self.fake.failures.popleft())
        else:
            getattr(self, f"_{self.fake.way}")(self.fake.requests[-1])

    def do_GET(self) -> None:
        self.fake.paths.append(self.path)
        self.send_error(404)

    def _answers(self, asked: dict[str, Any]) -> None:
        self._send(200, json.dumps(_ANSWERS[self.path](self.fake, asked)).encode())

    def _status(self, _asked: dict[str, Any]) -> None:
        self._error(self.fake.status, {})

    def _body(self, _asked: dict[str, Any]) -> None:
        self._send(200, self.fake.body)

    def _hangs(self, _asked: dict[str, Any]) -> None:
        self.fake.released.wait()

    def _drips(self, _asked: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "1000000")
        self.end_headers()
        try:
            while not self.fake.released.wait(0.05):
                self.wfile.write(b" ")
        except OSError:
            self.fake.dropped.set()

    def _error(self, status: int, headers: Mapping[str, str]) -> None:
        problem = {"message": "as told", "type": "server_error", "param": None, "code": None}
        self._send(status, json.dumps({"error": problem}).encode(), headers)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "content-type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests read `requests`."""


def _completion(fake: FakeOpenAI, _asked: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": fake.text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }


def _embeddings(fake: FakeOpenAI, asked: dict[str, Any]) -> dict[str, Any]:
    rows = fake.spoil(
        [
            {"object": "embedding", "index": index, "embedding": fake.vector(text)}
            for index, text in enumerate(asked["input"])
        ]
    )
    if asked.get("encoding_format") == "base64":
        rows = [{**row, "embedding": _packed(row["embedding"])} for row in rows]
    tokens = sum(len(text) // 4 for text in asked["input"])
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": asked["model"], "usage": usage}


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


_ANSWERS: dict[str, Callable[[FakeOpenAI, dict[str, Any]], dict[str, Any]]] = {
    "/v1/chat/completions": _completion,
    "/v1/embeddings": _embeddings,
}
