"""Lakes alone: that of the small world, and one with a history of questions that were served from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings
from tests.serving.past import history
from tests.serving.world import world_settings


@pytest.fixture
def lake_only(world: Settings, home: Path) -> Settings:
    shutil.copytree(world.home / "lake", home / "lake")
    return world_settings(home)


@pytest.fixture(scope="session")
def lost(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A home with 200 logged questions over three states of its corpus, of which only the lake's rows are left."""
    settings = world_settings(tmp_path_factory.mktemp("history"))
    history.write_notes(settings, history.NOTES)
    history.bring_up(settings, "run-1")
    history.ask_all(settings, history.questions(60, seed=1))
    # Written, but neither online nor in the index: what is served stays as it was.
    history.end_chunks(settings, history.NOTES[:10])
    history.write_notes(settings, history.NOTES[:10], version=1)
    history.ask_all(settings, history.questions(40, seed=2))
    history.bring_up(settings, "run-2")
    history.ask_all(settings, history.questions(40, seed=3), history.STAFF)
    for number in history.NOTES[10:16]:
        history.revoke(settings, number)
    history.ask_all(settings, history.questions(60, seed=4))
    history.lose_everything_but_rows(settings)
    stop_redis(settings)
    return settings
