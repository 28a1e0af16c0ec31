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


def is_loopback(address: str) -> bool:
    """Return whether a literal address is of this machine alone; names are not."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address == "localhost"
    return (getattr(parsed, "ipv4_mapped", None) or parsed).is_loopback
