"""The pytest plugin: guards the whole run from before the first import, and fails the test that reached out.

Variables that make libraries phone home are present, so that a test run without attempts means something.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.network_guard import namespace
from tests.network_guard.attempt import Attempt
from tests.network_guard.audit import AuditWatch
from tests.network_guard.packets import PacketWatch

_TEMPTATIONS = {
    "LANGSMITH_TRACING": "true",
    "LANGSMITH_API_KEY": "lsv2_pt_not_a_key",
    "LANGCHAIN_TRACING_V2": "true",
    "LANGCHAIN_API_KEY": "lsv2_pt_not_a_key",
    "OPENAI_API_KEY": "sk-not-a-key",
    "HF_TOKEN": "hf_not_a_token",
}
# A proxy on loopback would be a way out; a library that sees a build server may keep quiet here and nowhere else.
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_REMOVED = ("CI", "GITHUB_ACTIONS", "GITLAB_CI", *_PROXIES)


class NetworkGuard:
    """The watch over this run. `kinds` are the kinds of process it covers."""

    def __init__(self) -> None:
        os.environ.update(_TEMPTATIONS)
        for name in _REMOVED:
            os.environ.pop(name, None)
        self._watch: PacketWatch | AuditWatch
        if namespace.enter():
            self._watch, self.kinds = PacketWatch(), ("python", "jvm", "command")
        else:
            log = Path(tempfile.mkdtemp(prefix="network-guard-")) / "attempts.jsonl"
            self._watch, self.kinds = AuditWatch(log), ("python",)

    def take(self) -> list[Attempt]:
        """Return the attempts made since the last call."""
        return self._watch.take()

    @contextmanager
    def expecting(self) -> Iterator[list[Attempt]]:
        """Give the attempts made inside, after it has ended, to the caller instead of failing the test."""
        caught: list[Attempt] = []
        yield caught
        caught.extend(self.take())


@functools.cache
def network_guard() -> NetworkGuard:
    """Return the guard of this process, on from the first call."""
    return NetworkGuard()


def pytest_load_initial_conftests() -> None:
    """Start before any conftest is imported: threads that libraries start would stay outside."""
    network_guard()


def pytest_report_header() -> str:
    """Say what is covered."""
    return f"network guard: loopback only, for {', '.join(network_guard().kinds)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail the phase of the test in which somebody reached out, even when the error was swallowed."""
    report = yield
    attempts = network_guard().take()
    if attempts:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} reached beyond loopback: " + "; ".join(map(str, attempts))
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run for what was tried after the last test."""
    attempts = network_guard().take()
    if attempts:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        session.config.get_terminal_writer().line("reached beyond loopback: " + "; ".join(map(str, attempts)))
