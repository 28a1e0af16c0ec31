"""Which addresses a crawl may connect to. A page says where to go next, so nobody may be led into our own network."""

from __future__ import annotations

import ipaddress
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
# Where clouds answer for a machine's own credentials; some stand in private or even public ranges.
_METADATA: Final = frozenset(
    ipaddress.ip_address(address)
    for address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)


def why_refused(text: str, *, allow_private: bool) -> str | None:
    """Return why a numeric address may not be connected to, or None when it may.

    Metadata services, link-local, multicast, reserved and unspecified addresses are always refused; loopback and
    private networks unless `allow_private`. IPv4 inside IPv6 (mapped, 6to4, NAT64) is judged as IPv4.
    """
    address = _unwrapped(ipaddress.ip_address(text.partition("%")[0]))
    if address in _METADATA:
        return "a metadata service"
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "a link-local, multicast or unspecified address"
    if address.is_loopback or (address.is_private and not address.is_reserved):
        return None if allow_private else "a private address"
    if address.is_reserved or getattr(address, "is_site_local", False):
        return "a reserved address"
    if not address.is_global:
        return None if allow_private else "an address of no public network"
    return None


def _unwrapped(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
