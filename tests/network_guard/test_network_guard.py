"""The guard catches each kind of process, and an attempt fails the test that made it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.network_guard.attempt import Attempt, is_loopback
from tests.network_guard.audit import _attempt_of
from tests.network_guard.outside import OUTSIDE, OUTSIDE_V6, PORT, reach_out
from tests.network_guard.plugin import network_guard

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPOSITORY = Path(__file__).resolve().parents[2]
REACH_OUT = f"import socket; socket.create_connection(('{OUTSIDE}', {PORT}), timeout=5)"


def from_this_process() -> None:
    list(reach_out([]))


def from_a_thread() -> None:
    thread = threading.Thread(target=from_this_process)
    thread.start()
    thread.join()


def from_a_python_process() -> None:
    subprocess.run([sys.executable, "-c", REACH_OUT], capture_output=True, check=False)


def from_a_command() -> None:
    subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/{OUTSIDE}/{PORT}"], capture_output=True, check=False)


ATTEMPTS = {
    "python": (from_this_process, from_a_thread, from_a_python_process),
    "command": (from_a_command,),
}


@pytest.mark.parametrize("attempt", [attempt for kind in network_guard().kinds for attempt in ATTEMPTS.get(kind, ())])
def test_an_attempt_is_caught_though_its_error_is_swallowed(attempt: Callable[[], None]):
    with network_guard().expecting() as caught:
        attempt()

    assert [(found.address, found.port) for found in caught] == [(OUTSIDE, PORT)]


def test_asking_for_a_name_is_caught():
    with network_guard().expecting() as caught, contextlib.suppress(OSError):
        socket.getaddrinfo("api.example.com", PORT)

    assert {found.name for found in caught} == {"api.example.com"}


@pytest.mark.spark
def test_a_spark_worker_is_caught(spark: SparkSession):
    with network_guard().expecting() as caught:
        spark.sparkContext.parallelize([1], 1).mapPartitions(reach_out).collect()

    assert OUTSIDE in {found.address for found in caught}


@pytest.mark.spark
@pytest.mark.parametrize("address", [OUTSIDE] if "jvm" in network_guard().kinds else [])
def test_a_jvm_is_caught(spark: SparkSession, address: str):
    from py4j.protocol import Py4JJavaError

    with network_guard().expecting() as caught, contextlib.suppress(Py4JJavaError):
        spark.sparkContext._jvm.java.net.Socket(address, PORT)

    assert address in {found.address for found in caught}


def test_loopback_is_free():
    with socket.create_server(("127.0.0.1", 0)) as server, network_guard().expecting() as caught:
        socket.create_connection(server.getsockname(), timeout=5).close()

    assert caught == []


def test_a_test_that_reaches_out_fails_and_its_neighbour_passes(tmp_path: Path):
    (tmp_path / "test_inner.py").write_text(
        "import contextlib, socket\n"
        "def test_quiet(): pass\n"
        "def test_talkative():\n"
        "    with contextlib.suppress(OSError):\n"
        f"        socket.create_connection(('{OUTSIDE}', {PORT}), timeout=5)\n"
    )

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "tests.network_guard.plugin", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 1
    assert "1 failed, 1 passed" in ran.stdout
    assert f"reached beyond loopback: tcp to {OUTSIDE} port {PORT}" in ran.stdout.replace("connect to", "tcp to")


def test_without_a_namespace_python_processes_are_caught_and_refused(tmp_path: Path):
    script = (
        "import subprocess, sys, pathlib\n"
        "from tests.network_guard.audit import AuditWatch\n"
        f"watch = AuditWatch(pathlib.Path({str(tmp_path / 'log')!r}))\n"
        f"child = subprocess.run([sys.executable, '-c', {REACH_OUT!r}], capture_output=True, text=True)\n"
        "assert 'the network guard refused' in child.stderr, child.stderr\n"
        "print(*watch.take())\n"
        "assert watch.take() == []\n"
    )

    ran = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert (ran.stdout.strip(), ran.stderr) == (f"connect to {OUTSIDE} port {PORT}", "")


@pytest.mark.parametrize(
    ("event", "arguments", "expected"),
    [
        ("socket.connect", (None, ("127.0.0.1", 6379)), None),
        ("socket.connect", (None, ("::1", 6379, 0, 0)), None),
        ("socket.connect", (None, "/run/a.socket"), None),
        ("socket.connect", (None, (OUTSIDE, 80)), Attempt("connect", OUTSIDE, 80)),
        ("socket.sendto", (None, (OUTSIDE_V6, 53, 0, 0)), Attempt("connect", OUTSIDE_V6, 53)),
        ("socket.getaddrinfo", (b"example.com", 80, 0, 0, 0), Attempt("lookup", "example.com", 0, "example.com")),
        ("socket.getaddrinfo", (OUTSIDE, 80, 0, 0, 0), None),
        ("socket.getaddrinfo", ("localhost", 80, 0, 0, 0), None),
        ("open", ("a", "r", 0), None),
    ],
)
def test_without_a_namespace_the_audit_hook_tells_attempts_from_the_rest(event, arguments, expected):
    assert _attempt_of(event, arguments) == expected


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.8.8.8", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::ffff:10.0.0.1", False), ("fe80::1%lo", False)],
)
def test_what_counts_as_loopback(address, loopback):
    assert is_loopback(address) is loopback
