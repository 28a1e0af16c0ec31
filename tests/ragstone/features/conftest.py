from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import Settings


@pytest.fixture
def served(settings: Settings) -> Iterator[Settings]:
    """Settings of a home whose Redis, started by whoever needs it, is stopped in the end."""
    yield settings
    stop_redis(settings)
