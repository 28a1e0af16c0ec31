"""Servers for the figure of the chat request: the real one with its stages metered, and one that does nothing.

Each runs in a process of its own, told to and asked over a pipe, so that its processor time is its own.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from pydantic import TypeAdapter

from ragstone.runtime.settings import load_settings
from serving import answering
from serving.answering import Answer
from serving.app import create_app
from serving.routes.chat import ChatRequest
from serving.services import Services

_START_S: Final = 120
_KEEP_ALIVE_S: Final = 3_600


@dataclass(frozen=True)
class Spent:
    """Processor seconds since a server's process began: all of them, and those inside each metered stage."""

    process_s: float
    stages_s: Mapping[str, float]


class Meter:
    """Adds up the processor seconds that threads spend inside functions, by stage.

    What is spent in a stage within another counts for the inner one alone.
    """

    def __init__(self) -> None:
        self.stages_s: dict[str, float] = {}
        self._thread = threading.local()

    def watch(self, owner: Any, function: str, stage: str) -> None:
        """Meter a function of a module or an object from now on."""
        self.stages_s.setdefault(stage, 0.0)
        setattr(owner, function, self._metered(getattr(owner, function), stage))

    def _metered(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        @wraps(function)
        def metered(*arguments: Any, **named: Any) -> Any:
            before_s, self._thread.inner_s = getattr(self._thread, "inner_s", 0.0), 0.0
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                took_s = time.thread_time() - began
                self.stages_s[stage] += took_s - self._thread.inner_s
                self._thread.inner_s = before_s + took_s

        return metered


class Server:
    """A server in a process of its own. `port` is where it listens on the loopback."""

    def __init__(self, port: int, pipe: Connection) -> None:
        self.port = port
        self._pipe = pipe

    def spent(self) -> Spent:
        """Return what its process has spent until now."""
        self._pipe.send("spent")
        spent: Spent = self._pipe.recv()
        return spent


@contextmanager
def chat_server(home: Path) -> Iterator[Server]:
    """Serve a home as `ragstone serve` does."""
    with _process(_serve_chat, home) as server:
        yield server


@contextmanager
def no_op_server(home: Path, answer: Mapping[str, Any]) -> Iterator[Server]:
    """Serve an app whose POST /chat takes the same body, and gives back always the same answer."""
    with _process(_serve_no_op, home, answer) as server:
        yield server


@contextmanager
def _process(target: Callable[..., None], home: Path, *arguments: Any) -> Iterator[Server]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(theirs, home, *arguments))
    process.start()
    theirs.close()
    try:
        if not ours.poll(_START_S):
            raise TimeoutError("a server did not start")
        yield Server(ours.recv(), ours)
    finally:
        ours.close()
        process.join()


def _serve_chat(pipe: Connection, home: Path) -> None:
    app, meter = create_app(load_settings(home=home)), Meter()

    def watch_stages() -> None:
        services: Services = app.state.services
        meter.watch(services.retriever, "retrieve", "retrieval")
        meter.watch(answering, "extract", "extraction")
        meter.watch(services.answerer.sessions, "turns", "session")
        meter.watch(services.answerer.sessions, "append", "session")
        # No HTTP either, but neither retrieval, session nor extraction.
        meter.watch(services.reader, "watermark", "watermark")
        meter.watch(answering.Answerer, "_record", "record")

    _serve(app, pipe, home, meter, watch_stages)


def _serve_no_op(pipe: Connection, home: Path, given: Mapping[str, Any]) -> None:
    app, answer = FastAPI(), TypeAdapter(Answer).validate_python(given)

    @app.post("/chat")
    async def chat(body: ChatRequest) -> Answer:  # noqa: ARG001  (validated, and left at that)
        return answer

    _serve(app, pipe, home, Meter(), lambda: None)


def _serve(app: FastAPI, pipe: Connection, home: Path, meter: Meter, on_start: Callable[[], None]) -> None:
    _log_to(home / "logs" / "server.log")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        # As `ragstone serve` has it, but for connections that must outlast the other side's turn.
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_keep_alive=_KEEP_ALIVE_S))
        thread = threading.Thread(target=_answer_pipe, args=(pipe, server, listener, meter, on_start))
        thread.start()
        server.run(sockets=[listener])
        thread.join()


def _answer_pipe(
    pipe: Connection, server: uvicorn.Server, listener: socket.socket, meter: Meter, on_start: Callable[[], None]
) -> None:
    """Tell the port once the server has started, then what was spent whenever asked, until the other end closes."""
    try:
        while not server.started:
            if server.should_exit:
                return
            time.sleep(0.01)
        on_start()
        pipe.send(listener.getsockname()[1])
        while True:
            pipe.recv()
            pipe.send(Spent(time.process_time(), dict(meter.stages_s)))
    except (EOFError, OSError):
        server.should_exit = True


def _log_to(path: Path) -> None:
    """Send what this process says to a file: writing it is a part of serving, showing it is not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 2)
