from pathlib import Path

from tests.docs.settings_page import page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_settings_page_lists_every_setting_as_it_is():
    assert (DOCS / "settings.md").read_text("utf-8") == page(), "python -m tests.docs.settings_page > docs/settings.md"
