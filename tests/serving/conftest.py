"""Worlds for the tests of the service: one that nobody changes, shared; and one of its own for whoever does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from ragstone.features import materialize
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings
from tests.serving.world import copied, fill, served, world_settings


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    settings = world_settings(tmp_path_factory.mktemp("world"))
    fill(settings)
    yield settings
    stop_redis(settings)


@pytest.fixture(scope="session")
def service(world: Settings) -> Iterator[httpx2.Client]:
    with served(world) as client:
        yield client


@pytest.fixture
def own_world(world: Settings, home: Path) -> Iterator[Settings]:
    settings = world_settings(copied(world.home, home))
    materialize.run(settings, "run-1")
    yield settings
    stop_redis(settings)
