"""Connections of a crawl: each name is resolved once, its addresses are judged, and only they are connected to.

This sits below HTTP and TLS, so Host, SNI and certificates are still about the name. Every connection also stops at the
deadline of the request it serves: a server that sends a byte now and then must not hold a crawl.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore2

from spark_jobs.sources.crawl.addresses import why_refused

Resolve = Callable[[str], list[str]]
"""Returns the numeric addresses of a name. Raises OSError when it has none."""


def resolve(host: str) -> list[str]:
    """Return the addresses the system gives for a name, in its order of preference."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class RefusedAddressError(Exception):
    """A name stands for no address that may be connected to."""


class PinnedNetwork(httpcore2.NetworkBackend):
    """Opens the connections of one crawl. `dial` opens one to a numeric address, by default over TCP."""

    def __init__(
        self, *, allow_private: bool, resolve: Resolve = resolve, dial: httpcore2.NetworkBackend | None = None
    ) -> None:
        self._allow_private = allow_private
        self._resolve = resolve
        self._dial = dial or httpcore2.SyncBackend()
        self._pinned: dict[str, list[str]] = {}
        self._deadline = 0.0

    def set_deadline(self, seconds: float) -> None:
        """Give what is asked from now on so many seconds until its last byte."""
        self._deadline = time.monotonic() + seconds

    def left(self, timeout: float | None = None) -> float:
        """Return the seconds until the deadline, at most `timeout`. Raises httpcore2.ReadTimeout when it is past."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the answer took longer than timeout_s in all")
        return left if timeout is None else min(left, timeout)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Return a connection to the first address of a name that accepts one.

        Raises RefusedAddressError, or httpcore2's ConnectError and ConnectTimeout.
        """
        last: Exception | None = None
        for address in self._addresses(host):
            try:
                stream = self._dial.connect_tcp(address, port, self.left(timeout), local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as broken:
                last = broken
            else:
                return _TimedStream(stream, self)
        raise last or httpcore2.ConnectError(f"{host} has no address")

    def _addresses(self, host: str) -> list[str]:
        if host not in self._pinned:
            try:
                found = self._resolve(host)
            except (OSError, UnicodeError) as unknown:
                raise httpcore2.ConnectError(f"{host}: {unknown}") from unknown
            refusals = {address: why_refused(address, allow_private=self._allow_private) for address in found}
            self._pinned[host] = [address for address, refusal in refusals.items() if refusal is None]
            if found and not self._pinned[host]:
                del self._pinned[host]
                raise RefusedAddressError(", ".join(f"{host} is {one}, {why}" for one, why in refusals.items()))
        return self._pinned[host]


class _TimedStream(httpcore2.NetworkStream):
    """A connection whose every operation ends at the network's deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, network: PinnedNetwork) -> None:
        self._stream = stream
        self._network = network

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._network.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._network.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._network.left(timeout))
        return _TimedStream(secured, self._network)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
