"""A written fake of an OpenAI-compatible embedding API: real HTTP on the loopback, with the ways such servers fail."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

Rows = list[dict[str, Any]]


@dataclass
class FakeEmbeddings:
    """Answers with a vector that follows from each text, and keeps what it was asked and when.

    `failures` are answered first, one a request: a status and headers. `spoil` changes the rows of an answer.
    """

    url: str = ""
    dim: int = 8
    failures: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    spoil: Callable[[Rows], Rows] = lambda rows: rows
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """Every text that was sent, in order."""
        return [text for request in self.requests for text in request["input"]]

    def vector(self, text: str) -> list[float]:
        """What the API says of a text: not of unit length."""
        digest = hashlib.sha256(text.encode()).digest()
        return [byte / 16 - 8 + 1 / 3 for byte in digest[: self.dim]]


@contextmanager
def fake_embeddings() -> Iterator[FakeEmbeddings]:
    fake = FakeEmbeddings()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"fake": fake}))
    fake.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: ClassVar[FakeEmbeddings]

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.fake.times.append(time.monotonic())
        self.fake.headers.append({name.lower(): value for name, value in self.headers.items()})
        if self.path != "/v1/embeddings":
            self._send(404, {"error": {"message": f"no {self.path}"}}, {})
        elif self.fake.failures:
            status, headers = self.fake.failures.popleft()
            self._send(status, {"error": {"message": "as told"}}, headers)
        else:
            self.fake.requests.append(asked)
            self._send(200, self._answer(asked), {})

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        rows: Rows = [
            {"object": "embedding", "index": index, "embedding": self.fake.vector(text)}
            for index, text in enumerate(asked["input"])
        ]
        rows = self.fake.spoil(rows)
        if asked.get("encoding_format") == "base64":
            rows = [{**row, "embedding": _packed(row["embedding"])} for row in rows]
        tokens = sum(len(text) // 4 for text in asked["input"])
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return {"object": "list", "data": rows, "model": asked["model"], "usage": usage}

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "content-type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the tests read `requests`."""


def _packed(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
