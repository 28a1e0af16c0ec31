"""Publishing is killed, and fails, at every file-system call: the last good index stays, and the rerun completes it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragstone.embedding.load import embedding_spec
from ragstone.runtime.settings import Settings, load_settings
from serving.index import build, publish
from serving.index.files import BUILDING_PREFIX
from serving.index.follower import IndexFollower
from tests.serving.index.interrupted import FAILED, FINISHED, KILLED
from tests.serving.index.lake import BETWEEN, EAST, NORTH, put, unit

KEPT = 2


@pytest.fixture
def template(home: Path) -> Path:
    """A home with two versions, of which the next publish prunes one, and a chunk that is not indexed yet."""
    (home / "conf.yaml").write_text(f"index: {{keep_versions: {KEPT}}}\n")
    settings = load_settings(home=home)
    for run, item in enumerate((NORTH, EAST)):
        put(settings, item)
        build.run(settings, f"run-{run}")
    put(settings, BETWEEN)
    return home


def interrupted(template: Path, folder: Path, kind: str, step: int) -> list[dict[str, Any]]:
    script = [sys.executable, "-m", "tests.serving.index.interrupted"]
    command = [*script, str(template), str(folder), kind, str(step)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"due"')]


def answers(settings: Settings) -> list[str]:
    """Return what a service that starts now would find, best first."""
    follower = IndexFollower(settings, embedding_spec(settings).encoder_hash)
    return [hit.chunk_id for hit in follower.current().search(unit(3, 1), 5)]


def check_attempts(folder: Path, attempts: list[dict[str, Any]], code: int) -> None:
    before = [NORTH.chunk_id, EAST.chunk_id]
    after = [NORTH.chunk_id, BETWEEN.chunk_id, EAST.chunk_id]
    seen = []
    for attempt in attempts:
        settings = load_settings(home=folder / str(attempt["due"]))
        seen.append(answers(settings))
        assert seen[-1] in (before, after), attempt
        assert build.run(settings, "run-again").status in ("ok", "unchanged"), attempt
        assert answers(settings) == after, attempt
        publish.prune_alone(settings)
        listed = publish.list_versions(settings)
        assert [bool(each.manifest.failed_gates) for each in listed] == [False] * KEPT, attempt
        assert not list(settings.index_root.glob(f"{BUILDING_PREFIX}*")), attempt
    assert {attempt["code"] for attempt in attempts[:-1]} <= {code, FINISHED}
    # A kill before the flip leaves the old answer, one after it the new one. A call that fails may be one of reading.
    assert code == FAILED or seen == sorted(seen, key=lambda found: found == after)
    assert before in seen


def test_a_publish_that_is_killed_leaves_the_last_good_index(template: Path, tmp_path: Path) -> None:
    attempts = interrupted(template, tmp_path / "attempts", "kill", step=17)
    assert len(attempts) > 4
    check_attempts(tmp_path / "attempts", attempts, KILLED)


@pytest.mark.full
@pytest.mark.parametrize(("kind", "code"), [("kill", KILLED), ("fail", FAILED)])
def test_whichever_call_of_a_publish_is_the_last_or_fails_the_last_good_index_stays(
    template: Path, tmp_path: Path, kind: str, code: int
) -> None:
    attempts = interrupted(template, tmp_path / "attempts", kind, step=1)
    assert len(attempts) > 50
    check_attempts(tmp_path / "attempts", attempts, code)
