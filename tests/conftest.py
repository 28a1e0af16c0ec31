"""Fixtures that every test may use: a home folder of its own, its settings, and the one Spark session of the run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragstone.runtime.settings import Settings, load_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name binary values by their length: archives carry the second they were made, and workers must agree on names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and not val.isascii() else None


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    folder.mkdir()
    yield folder
    if (folder / "redis").is_dir():
        # Imported here, because most tests need no Redis.
        from ragstone.runtime.redis_server import stop_redis

        stop_redis(load_settings(home=folder))


@pytest.fixture
def settings(home: Path) -> Settings:
    return load_settings(home=home)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    # Imported here, because a run of light tests must not pay for pyspark.
    from spark_jobs.session import close_session, open_session

    yield open_session(load_settings(home=tmp_path_factory.mktemp("spark-home")))
    close_session()
