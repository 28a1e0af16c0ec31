"""The settings shown on the pages of sources are settings that work."""

import re
from pathlib import Path

import pytest
import yaml

from ragstone.runtime.settings import load_settings

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs" / "sources").glob("*.md"))
BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
KEY_HASH = "<SHA-256 of the key>"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_is_taken_as_it_stands(page, home):
    for block in BLOCK.findall(page.read_text("utf-8")):
        (home / "conf.yaml").write_text(block.replace(KEY_HASH, "0" * 64))
        shown = yaml.safe_load(block)

        settings = load_settings(home=home)

        assert settings.sources.keys() == shown["sources"].keys()


def test_the_pages_of_topics_and_pushes_show_one_each():
    shown = {page.stem: BLOCK.findall(page.read_text("utf-8")) for page in PAGES}

    assert shown["kafka"]
    assert shown["push"]
