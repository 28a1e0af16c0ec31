"""Feast's own command line, run in the repository with nothing but the variables of `ragstone features env`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragstone.features.access import delete_document
from ragstone.features.apply import diff
from ragstone.features.online import OnlineReader
from ragstone.features.repository import feast_environment
from ragstone.lake.landing import LandingZone
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings
from tests.factories import make_envelope
from tests.ragstone.features.lake import DEAD, GUIDE, KEPT, NOTES, write_history


@pytest.fixture
def served(settings: Settings) -> Iterator[Settings]:
    yield settings
    stop_redis(settings)


def feast(settings: Settings, *arguments: str) -> str:
    # No Java, so that a command which started a JVM would fail.
    environment = {**os.environ, **feast_environment(settings), "JAVA_HOME": "/nonexistent", "PATH": "/nonexistent"}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("feast")), *arguments],
        cwd=settings.feast.repo,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_apply_plan_and_materialize_work_plainly_and_bring_no_deleted_document_back(served: Settings) -> None:
    LandingZone(served.landing_root).append_batch([make_envelope("guide.md"), make_envelope("notes.md")])
    write_history(served)
    feast(served, "apply")
    assert diff(served) == []
    feast(served, "plan")
    delete_document(served, GUIDE, requested_by="a test")

    # A window that ends long before the delete.
    feast(served, "materialize", "2025-12-01T00:00:00", "2026-01-01T00:09:00")
    chunks, documents = OnlineReader(served).read([KEPT["chunk_id"], DEAD["chunk_id"]], [GUIDE, NOTES])
    kept, dead = chunks
    guide, notes = documents
    assert kept is not None
    assert (kept.text, kept.ordinal) == ("kept text", 7)
    assert dead is None or not dead.active
    assert guide is None or not guide.active
    assert notes is not None
    assert notes.acl == ("staff", "board")
