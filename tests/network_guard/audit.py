"""Where no namespace is allowed: an audit hook in every Python process, this one and those it starts.

It refuses the connection and notes it in a file that all processes share. JVMs and other commands are not covered.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.network_guard.attempt import Attempt, is_loopback, literal_address

LOG_VARIABLE = "NETWORK_GUARD_LOG"
_CHILD_FOLDER = Path(__file__).with_name("child")


class AuditWatch:
    """Collects the attempts of this process and of the Python processes it starts from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._log.touch()
        self._read = 0
        os.environ[LOG_VARIABLE] = str(log)
        inherited = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([str(_CHILD_FOLDER), *([inherited] if inherited else [])])
        install(log)

    def take(self) -> list[Attempt]:
        """Return the attempts made up to now, each once, and forget them."""
        lines = self._log.read_text("utf-8").splitlines()
        taken, self._read = lines[self._read :], len(lines)
        return [Attempt(**json.loads(line)) for line in dict.fromkeys(taken)]


def install(log: Path) -> None:
    """Refuse and note every attempt of this process; a hook cannot be taken out again."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        attempt = _attempt_of(event, arguments)
        if attempt is not None:
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(attempt)) + "\n")
            raise ConnectionRefusedError(f"the network guard refused {attempt}")

    sys.addaudithook(hook)


def _attempt_of(event: str, arguments: tuple[Any, ...]) -> Attempt | None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple) and not is_loopback(str(address[0])):
            return Attempt("connect", str(address[0]), int(address[1]))
    if event == "socket.getaddrinfo" and arguments[0] is not None:
        host = arguments[0].decode() if isinstance(arguments[0], bytes) else str(arguments[0])
        # Looking up a literal asks nobody.
        if host and literal_address(host) is None and host not in ("localhost", os.uname().nodename):
            return Attempt("lookup", host, 0, host)
    return None
