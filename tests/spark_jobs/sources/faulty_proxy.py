"""An HTTP proxy before a server, on loopback, that spoils answers as a test wants, and keeps a log of requests."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Fault:
    """What becomes of a request: an answer with this status and body.

    With `cut` it is half of the true one, then the end; with `reset` half of it, then a connection that was reset; with
    `silent` there is none, only the end.
    """

    status: int = 503
    body: bytes = b"<Error><Code>SlowDown</Code></Error>"
    cut: bool = False
    reset: bool = False
    silent: bool = False


@dataclass
class FaultyProxy:
    """`spoil` is asked for each request, by method and path with query; None lets it through."""

    upstream: tuple[str, int]
    spoil: Callable[[str, str], Fault | None] = lambda _method, _path: None
    requests: list[tuple[str, str]] = field(default_factory=list)
    url: str = ""

    def got(self, method: str, part: str) -> int:
        """Return how many requests of a method had this in their path."""
        return sum(one == method and part in path for one, path in self.requests)


@contextmanager
def faulty_proxy(host: str, port: int) -> Iterator[FaultyProxy]:
    """Run a proxy before a server for the length of a block."""
    proxy = FaultyProxy((host, port))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(proxy: FaultyProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            proxy.requests.append((self.command, self.path))
            fault = proxy.spoil(self.command, self.path)
            if fault is not None and fault.silent:
                self.close_connection = True
                return
            if fault is not None and not (fault.cut or fault.reset):
                self._answer(fault.status, [], fault.body)
                return
            answer, content = self._ask(body)
            headers = [pair for pair in answer.getheaders() if pair[0].lower() not in ("content-length", "connection")]
            self._answer(answer.status, headers, content, fault)

        def _ask(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
            upstream = http.client.HTTPConnection(*proxy.upstream)
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            return answer, answer.read()

        def _answer(self, status: int, headers: Any, content: bytes, fault: Fault | None = None) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content if fault is None else content[: len(content) // 2])
            self.close_connection = fault is not None
            if fault is not None and fault.reset:
                # To close without lingering is to reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815 -- the server looks for these names

        def log_message(self, *_arguments: Any) -> None:
            """Keep still."""

    return Handler
