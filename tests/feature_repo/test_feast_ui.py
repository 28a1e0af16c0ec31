"""Feast's own UI over our registry, started as docs/features.md says. It needs grpc, which nothing else here does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ragstone.contracts import names
from ragstone.features.apply import apply
from ragstone.features.repository import feast_environment
from ragstone.features.views import views
from ragstone.runtime.settings import Settings
from tests.servers.redis import free_port

_START_TIMEOUT_S = 120.0


@pytest.fixture
def page(settings: Settings) -> Iterator[str]:
    if any(find_spec(name) is None for name in ("grpc", "grpc_health", "grpc_reflection")):
        pytest.skip("LEFT OUT: Feast's UI needs grpc: `pip install 'feast[grpcio]==0.67.0'`")
    apply(settings)
    port = free_port()
    command = [Path(sys.executable).with_name("feast"), "ui", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(
        command,
        cwd=settings.feast.repo,
        env={**os.environ, **feast_environment(settings)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def got(address: str) -> bytes:
    """Return a page, once its server is up."""
    give_up = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


@pytest.mark.full
def test_the_ui_shows_our_project_its_views_and_its_services(settings: Settings, page: str) -> None:
    def listed(kind: str) -> list[dict[str, Any]]:
        answer = json.loads(got(f"{page}/api/v1/{kind}?project={settings.feast.project}"))
        found: list[dict[str, Any]] = next(value for value in answer.values() if isinstance(value, list))
        return found

    assert b"<html" in got(page)
    assert [each["id"] for each in json.loads(got(f"{page}/projects-list.json"))["projects"]] == ["ragstone"]
    assert {each["spec"]["name"] for each in listed("feature_views")} == {view.name for view in views(settings)}
    assert names.CHAT_SERVICE in {each["spec"]["name"] for each in listed("feature_services")}
