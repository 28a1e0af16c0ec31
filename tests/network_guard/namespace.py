"""A network namespace for this process and all it starts, in which every address leads back to loopback.

Connections out of it fail at once, and their packets pass the loopback device, where they can be seen: a namespace with
no route would refuse them before there is anything to see.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_RTM_NEWROUTE, _NLM_REQUEST_ACK_CREATE = 24, 0x1 | 0x4 | 0x400
_TABLE_LOCAL, _PROTOCOL_STATIC, _SCOPE_HOST, _ROUTE_LOCAL, _RTA_OIF = 255, 4, 254, 2, 4


def enter() -> bool:
    """Move this process into a namespace of its own; return False, and change nothing, where that is not allowed.

    Must be called before the process has threads: they would stay outside.
    """
    if sys.platform != "linux" or not _works_in_a_child():
        return False
    _enter()
    return True


def _works_in_a_child() -> bool:
    """Try it where a half-way failure does no harm: some systems allow the namespace but no device in it."""
    child = os.fork()
    if child == 0:
        try:
            _enter()
            socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0).close()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _enter() -> None:
    user, group = os.geteuid(), os.getegid()
    try:
        _unshare(_CLONE_NEWNET)
    except PermissionError:
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _raise_loopback()
    _lead_everything_to_loopback(socket.AF_INET)
    # A machine without IPv6 has no way out by it either.
    with contextlib.suppress(OSError):
        _lead_everything_to_loopback(socket.AF_INET6)


def _unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack_from("H", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)[0]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def _lead_everything_to_loopback(family: int) -> None:
    """Do what `ip route add local default dev lo` does; the command is not everywhere."""
    route = struct.pack(
        "BBBBBBBBI", family, 0, 0, 0, _TABLE_LOCAL, _PROTOCOL_STATIC, _SCOPE_HOST, _ROUTE_LOCAL, 0
    ) + struct.pack("HHI", 8, _RTA_OIF, socket.if_nametoindex("lo"))
    header = struct.pack("IHHII", 16 + len(route), _RTM_NEWROUTE, _NLM_REQUEST_ACK_CREATE, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(header + route)
        number = -struct.unpack_from("i", kernel.recv(4096), 16)[0]
    if number not in (0, errno.EEXIST):
        raise OSError(number, os.strerror(number))
