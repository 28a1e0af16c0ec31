from __future__ import annotations

import pytest

from ragstone.lake.landing import LandingZone
from spark_jobs.sources.connect import connect
from spark_jobs.sources.scan import scan_source
from tests.faults.worlds import World, branch

DOCUMENTS = 12


@pytest.fixture(scope="module")
def origin(tmp_path_factory) -> World:
    """A world whose documents have landed, and nothing more: one source of a dozen pages."""
    root = tmp_path_factory.mktemp("origin")
    (root / "files").mkdir()
    for number in range(DOCUMENTS):
        page = "\n\n".join(f"Paragraph {at} of page {number} tells of lamp {number * at}." for at in range(1, 40))
        (root / f"files/page-{number}.md").write_text(f"# Page {number}\n\n{page}\n")
    home = root / "home"
    home.mkdir()
    (home / "conf.yaml").write_text(f"sources: {{pages: {{root: '{root / 'files'}'}}}}\n")
    world = World(home, root / "run.log")
    landing = LandingZone(world.settings.landing_root)
    settings = world.settings
    pages = connect("pages", settings.sources["pages"], settings.ingest, settings.parsing, landing)
    scan = scan_source(pages, {}, landing)
    landing.append_batch(scan.envelopes, "landed")
    return world


@pytest.fixture(scope="module")
def clean(origin, tmp_path_factory) -> World:
    """A world in which nothing went wrong."""
    world = branch(origin, tmp_path_factory.mktemp("clean") / "home")
    assert world.run() == 0, world.told
    return world
