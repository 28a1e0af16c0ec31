"""An attempt to leave the machine, for the tests of the guard; apart from them, because Spark workers import it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Iterator

# Addresses set aside for documentation: nobody is there even without a guard.
OUTSIDE, OUTSIDE_V6, PORT = "192.0.2.1", "2001:db8::1", 443


def reach_out(_: Iterable[object]) -> Iterator[bool]:
    """Try to connect, swallow the error; shaped as Spark's mapPartitions wants it."""
    with contextlib.suppress(OSError):
        socket.create_connection((OUTSIDE, PORT), timeout=5)
    yield True
