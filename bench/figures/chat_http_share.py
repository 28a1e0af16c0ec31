"""What HTTP costs a chat request, in processor time: all of it but retrieval, session and extraction.

The other side is a FastAPI app, served alike, whose POST validates the same body and gives back, through the same
response model, an answer that a chat request was given. Clients are left out: only the servers' processes count.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Any, Final

from bench import made_up
from bench.chat_servers import Server, Spent, chat_server, no_op_server
from bench.harness import Measurement, Scale, check_equal, interleave, tell
from bench.homes import temporary_home
from ragstone.embedding.load import load_embedder
from ragstone.features import materialize
from ragstone.runtime.settings import Settings
from serving.index import build

_SUBTRACTED: Final = ("retrieval", "session", "extraction")
# Spent on neither of those, nor on HTTP; it stays in the figure, and is told apart in its note.
_KEPT: Final = ("watermark", "record")
_REQUESTS_PER_CALL: Final = 25
_WARM_UP: Final = 200
# Every question goes the whole way, so that none is cheaper for not being answered.
_ALWAYS_ANSWER: Final = {"intercept": 100.0}


def measure(scale: Scale) -> Measurement:
    """Return the processor milliseconds per request of both sides."""
    count, calls = scale.pick(small=100, full=1_000), scale.pick(small=20, full=100)
    with temporary_home(abstain=_ALWAYS_ANSWER) as settings:
        _fill(settings, count)
        with chat_server(settings.home) as chat:
            asking = _Client(chat, made_up.questions(200))
            answer = asking.ask()
            with no_op_server(settings.home, answer) as no_op:
                idle = _Client(no_op, made_up.questions(200))
                check_equal(idle.ask() == answer, "answer")
                for client in (asking, idle):
                    client.ask_many(_WARM_UP)
                before = chat.spent()
                rounds = interleave(partial(_http_ms, asking), partial(_http_ms, idle), calls)
                parts_ms = _parts_ms(before, chat.spent(), calls * len(rounds.ours) * _REQUESTS_PER_CALL)
    shown = ", ".join(f"{name} {took_ms:.2f}" for name, took_ms in parts_ms.items())
    kept_ms = parts_ms["all"] - sum(parts_ms[stage] for stage in (*_SUBTRACTED, *_KEPT))
    note = (
        f"CPU per request of the server's process; a chat request's parts: {shown}; ours is all but "
        f"{', '.join(_SUBTRACTED)}; without {' and '.join(_KEPT)} too it is {kept_ms:.2f}"
    )
    return Measurement(*rounds.each(), "ms", goal=2.0, better="lower", note=note)


def _fill(settings: Settings, count: int) -> None:
    """Put chunks with their real vectors where a service finds them: little to search, everything to answer from."""
    tell(f"  filling a home with {count} encoded chunks")
    embedder = load_embedder(settings)
    passages, chunk_ids = made_up.texts(count), made_up.ids(count, seed=4)
    made_up.write_chunks(settings.lake_root, passages, chunk_ids)
    made_up.write_embeddings(settings.lake_root, embedder.spec, passages, chunk_ids, embedder.encode(passages))
    materialize.run(settings, "bench")
    build.run(settings, "bench")


class _Client:
    """One connection to a server, and the questions of one conversation, over and over."""

    def __init__(self, server: Server, questions: Sequence[str]) -> None:
        self.server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port)
        self._bodies = cycle([json.dumps({"user": question, "session_id": "bench"}) for question in questions])

    def ask(self) -> dict[str, Any]:
        """Return the answer to the next question."""
        self._connection.request("POST", "/chat", next(self._bodies), {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        check_equal(response.status == 200 and not answer["abstained"], "status 200, and an answer")
        return answer

    def ask_many(self, count: int) -> None:
        """Ask so many questions."""
        for _ in range(count):
            self.ask()


def _http_ms(client: _Client) -> float:
    before = client.server.spent()
    client.ask_many(_REQUESTS_PER_CALL)
    parts_ms = _parts_ms(before, client.server.spent(), _REQUESTS_PER_CALL)
    return parts_ms["all"] - sum(parts_ms.get(stage, 0.0) for stage in _SUBTRACTED)


def _parts_ms(before: Spent, after: Spent, requests: int) -> dict[str, float]:
    """Return the mean processor milliseconds per request between two moments: all, and of each metered stage."""
    stages = {name: after.stages_s[name] - before.stages_s[name] for name in after.stages_s}
    parts = {"all": after.process_s - before.process_s, **stages}
    return {name: took_s / requests * 1_000 for name, took_s in parts.items()}
