"""The company every promise is checked on: built once, branched for each check, because checks change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ragstone.runtime.redis_server import stop_redis
from tests.promises.company import Company, branch, found

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Company]:
    root = tmp_path_factory.mktemp("company")
    company = found(root / "home", root / "files")
    company.run()
    yield company
    stop_redis(company.settings)


@pytest.fixture
def company(founded: Company, tmp_path: Path) -> Iterator[Company]:
    own = branch(founded, tmp_path)
    yield own
    for home in tmp_path.rglob("redis"):
        if home.parent.name == "home":
            stop_redis(own.settings.model_copy(update={"home": home.parent}))
