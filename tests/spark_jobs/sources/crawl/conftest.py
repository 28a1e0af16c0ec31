from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stamina
from pytest_httpserver import HTTPServer

from tests.spark_jobs.sources.crawl.site import CrawlLooks, Web


@pytest.fixture(autouse=True)
def without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2, cap=True):
        yield


@pytest.fixture(scope="package")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", threaded=True) as started:
        yield started


@pytest.fixture
def web(server: HTTPServer) -> Iterator[Web]:
    made = Web(server)
    yield made
    made.over.set()
    server.clear()


@pytest.fixture
def crawl(web: Web, tmp_path: Path) -> Callable[..., CrawlLooks]:
    def start(**settings: object) -> CrawlLooks:
        return CrawlLooks(web, tmp_path, settings)

    return start
