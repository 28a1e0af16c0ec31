"""A world of its own as a past one: the lake alone, without any index and without an online store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ragstone.runtime.settings import Settings
from tests.serving.world import world_settings


@pytest.fixture
def lake_only(world: Settings, home: Path) -> Settings:
    shutil.copytree(world.home / "lake", home / "lake")
    return world_settings(home)
