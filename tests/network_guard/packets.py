"""Watches the loopback device of the namespace for packets that were meant for the world outside."""

from __future__ import annotations

import ctypes
import ipaddress
import secrets
import socket
import struct
import threading

from tests.network_guard.attempt import DNS_PORT, Attempt

_ETH_P_ALL = 3
_SO_ATTACH_FILTER = 26
_TCP, _UDP = 6, 17
_SYN, _ACK = 0x02, 0x10
# A documentation address: packets to it say how far the watcher has come.
_MARK = ("192.0.2.255", 9)

# Classic BPF: IPv4 beyond 127/8, IPv6 beyond ::1, and questions to a name server on loopback. The kernel sorts out
# everything else, for the tests' own traffic to Redis and the JVM is heavy.
_FILTER = (
    (0x30, 0, 0, 0),  # 0: version byte
    (0x54, 0, 0, 0xF0),
    (0x15, 2, 0, 0x40),  # 2: IPv4 -> 5
    (0x15, 8, 0, 0x60),  # 3: IPv6 -> 12
    (0x06, 0, 0, 0),  # 4: drop
    (0x30, 0, 0, 16),  # 5: first byte of the IPv4 destination
    (0x15, 0, 12, 127),  # 6: beyond loopback -> 19
    (0x30, 0, 0, 9),
    (0x15, 0, 9, _UDP),  # 8: not UDP -> 18
    (0xB1, 0, 0, 0),
    (0x48, 0, 0, 2),
    (0x15, 7, 6, DNS_PORT),  # 11: a name server -> 19, else -> 18
    (0x20, 0, 0, 24),  # 12: the four words of the IPv6 destination
    (0x15, 0, 5, 0),
    (0x20, 0, 0, 28),
    (0x15, 0, 3, 0),
    (0x20, 0, 0, 36),
    (0x15, 0, 1, 1),
    (0x06, 0, 0, 0),  # 18: drop
    (0x06, 0, 0, 0xFFFF),  # 19: take
)


class PacketWatch:
    """Collects attempts, in a thread of its own, from the moment it is made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        self._socket.bind(("lo", 0))
        self._attach_filter()
        self._attempts: list[Attempt] = []
        self._marks_seen = threading.Condition()
        self._seen: set[bytes] = set()
        threading.Thread(target=self._watch, name="network-guard", daemon=True).start()

    def take(self) -> list[Attempt]:
        """Return the attempts made up to now, each once, and forget them."""
        self._catch_up()
        taken, self._attempts = self._attempts, []
        return list(dict.fromkeys(taken))

    def _catch_up(self) -> None:
        token = secrets.token_bytes(16)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as marker:
            marker.sendto(token, _MARK)
        with self._marks_seen:
            if not self._marks_seen.wait_for(lambda: token in self._seen, timeout=10):
                raise RuntimeError("the network guard sees no packets")
            self._seen.discard(token)

    def _watch(self) -> None:
        while True:
            packet, (_, _, direction, *_) = self._socket.recvfrom(65_535)
            # Each packet passes the device twice.
            if direction == socket.PACKET_OUTGOING:
                self._note(packet)

    def _note(self, packet: bytes) -> None:
        found = attempt_in(packet)
        if found is None:
            return
        if (found.address, found.port) == _MARK:
            with self._marks_seen:
                self._seen.add(packet[-16:])
                self._marks_seen.notify_all()
        elif not _is_own_name(found.name):
            self._attempts.append(found)

    def _attach_filter(self) -> None:
        program = b"".join(struct.pack("HBBI", *instruction) for instruction in _FILTER)
        held = ctypes.create_string_buffer(program)
        described = struct.pack("HxxxxxxP", len(_FILTER), ctypes.addressof(held))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)


def attempt_in(packet: bytes) -> Attempt | None:
    """Return the attempt that an IP packet is: the first packet of a TCP connection, or any of UDP."""
    if packet[0] >> 4 == 4:
        protocol, address, body = packet[9], str(ipaddress.IPv4Address(packet[16:20])), packet[(packet[0] & 15) * 4 :]
    else:
        protocol, address, body = packet[6], str(ipaddress.IPv6Address(packet[24:40])), packet[40:]
    if protocol not in (_TCP, _UDP):
        return None
    port = int.from_bytes(body[2:4], "big")
    if protocol == _TCP:
        return Attempt("tcp", address, port) if body[13] & (_SYN | _ACK) == _SYN else None
    return Attempt("udp", address, port, _asked_name(body[8:]) if port == DNS_PORT else None)


def _asked_name(question: bytes) -> str:
    labels, at = [], 12
    while at < len(question) and question[at]:
        labels.append(question[at + 1 : at + 1 + question[at]].decode("ascii", "replace"))
        at += 1 + question[at]
    return ".".join(labels)


def _is_own_name(name: str | None) -> bool:
    """Return whether it is this machine's name, which a JVM asks for where /etc/hosts does not have it."""
    return name is not None and name.partition(".")[0] == socket.gethostname().partition(".")[0]
