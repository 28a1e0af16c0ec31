"""One attempt to leave the machine."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

DNS_PORT = 53


@dataclass(frozen=True)
class Attempt:
    """Who was to be reached; `name` is what a name server was asked for."""

    protocol: str
    address: str
    port: int
    name: str | None = None

    def __str__(self) -> str:
        asked = f", asking for {self.name}" if self.name else ""
        return f"{self.protocol} to {self.address} port {self.port}{asked}"


def literal_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address a text spells out, None when it is a name; IPv4 inside IPv6 comes out as IPv4."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine alone; of names, only localhost is."""
    address = literal_address(host)
    return host == "localhost" if address is None else address.is_loopback
