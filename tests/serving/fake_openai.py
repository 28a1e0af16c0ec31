"""A written fake of an OpenAI-compatible server: real HTTP on the loopback, with the ways such servers fail."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


@dataclass
class FakeOpenAI:
    """Answers every request in the way it is told to, and keeps what it was asked.

    Ways: `says` (a chat completion), `status` (an error), `body` (whatever it is), `hangs` (no answer until released),
    `drips` (a byte at a time, never an end).
    """

    url: str = ""
    way: str = "says"
    text: str = "I don't know."
    status: int = 200
    body: bytes = b""
    paths: list[str] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    dropped: threading.Event = field(default_factory=threading.Event)

    def says(self, text: str) -> None:
        self.way, self.text = "says", text

    def fails(self, status: int) -> None:
        self.way, self.status = "status", status

    def sends(self, body: bytes) -> None:
        self.way, self.body = "body", body

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages of the last request."""
        return self.requests[-1]["messages"]


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
        if self.path != "/v1/chat/completions":
            self.send_error(404)
            return
        self.fake.requests.append(json.loads(body))
        self.fake.headers.append({name.lower(): value for name, value in self.headers.items()})
        getattr(self, f"_{self.fake.way}")()

    def do_GET(self) -> None:
        self.fake.paths.append(self.path)
        self.send_error(404)

    def _says(self) -> None:
        self._send(200, json.dumps(_completion(self.fake.text)).encode())

    def _status(self) -> None:
        problem = {"message": "as told", "type": "server_error", "param": None, "code": None}
        self._send(self.fake.status, json.dumps({"error": problem}).encode())

    def _body(self) -> None:
        self._send(200, self.fake.body)

    def _hangs(self) -> None:
        self.fake.released.wait()

    def _drips(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "1000000")
        self.end_headers()
        try:
            while not self.fake.released.wait(0.05):
                self.wfile.write(b" ")
        except OSError:
            self.fake.dropped.set()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests read `requests`."""


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "fake",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
