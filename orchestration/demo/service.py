"""The chat service as a process of its own, and the questions the acts put to it over HTTP."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2

from orchestration.demo.stage import DemoError
from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.settings import Settings

_START_S: Final = 180.0
_STOP_S: Final = 15.0
_FOLLOW_S: Final = 30.0
_CALL_S: Final = 30.0
_POLL_S: Final = 0.1


class Service:
    """A running chat service. Every call raises DemoError on a status other than the expected one."""

    def __init__(self, client: httpx2.Client, key: str) -> None:
        self._client = client
        self._as_admin = {"X-API-Key": key}

    def ask(self, question: str, session: str) -> dict[str, Any]:
        """Return the answer to a question, asked without a key, as the group `public`."""
        return self._json("POST", "/chat", json={"session_id": session, "user": question})

    def open(self, url: str) -> dict[str, Any]:
        """Return what a citation's URL leads to."""
        return self._json("GET", url)

    def lineage(self, answer_id: str) -> dict[str, Any]:
        """Return where an answer came from."""
        return self._json("GET", f"/v1/answers/{answer_id}/lineage")

    def delete_document(self, document_id: str) -> dict[str, Any]:
        """Delete a document, as an administrator; returns when the delete binds."""
        return self._json("DELETE", f"/v1/documents/{document_id}", headers=self._as_admin)

    def ready(self) -> dict[str, Any] | None:
        """Return the service's readiness, or None while it has none."""
        try:
            response = self._client.get("/health/ready")
        except httpx2.TransportError:
            return None
        return _decoded(response) if response.status_code == httpx2.codes.OK else None

    def wait_for_index(self, version: str) -> None:
        """Return once the service searches this index version. Raises DemoError when it does not follow."""
        if not _waited(lambda: (self.ready() or {}).get("index_version") == version, _FOLLOW_S):
            raise DemoError(
                "the service did not follow to the published index", got=self.ready(), wanted=f"index version {version}"
            )

    def _json(self, method: str, url: str, **request: Any) -> dict[str, Any]:
        response = self._client.request(method, url, **request)
        if not response.is_success:
            raise DemoError(
                "the service refused a request",
                where=f"{method} {url}",
                got=f"{response.status_code} {response.text[:500]}",
                wanted="a success",
            )
        return _decoded(response)


@contextmanager
def served(settings: Settings, key: str) -> Iterator[Service]:
    """Serve the home on a free port of the loopback while the context lasts. Raises DependencyUnavailableError."""
    port = _free_port()
    log_path = settings.home / "logs" / "serve.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    # Proxies of the environment are passed by: the service is on this machine.
    client = httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=_CALL_S, trust_env=False)
    with client, log_path.open("ab") as log, _process(settings, port, log) as process:
        service = Service(client, key)
        _wait_until_ready(service, process, log_path)
        yield service


@contextmanager
def _process(settings: Settings, port: int, log: Any) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "orchestration.cli", "--home", str(settings.home), "--env", settings.env]
    process = subprocess.Popen([*command, "serve", "--port", str(port)], stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(service: Service, process: subprocess.Popen[bytes], log_path: Path) -> None:
    ready = _waited(lambda: process.poll() is not None or service.ready() is not None, _START_S)
    if not ready or process.poll() is not None:
        raise DependencyUnavailableError(
            "the chat service did not start",
            where=str(log_path),
            got=f"exit code {process.poll()}",
            wanted="200 from /health/ready",
            next_step=f"read {log_path}",
        )


def _waited(done: Callable[[], bool], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(_POLL_S)
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _decoded(response: httpx2.Response) -> dict[str, Any]:
    document = response.json()
    return document if isinstance(document, dict) else {"items": document}
