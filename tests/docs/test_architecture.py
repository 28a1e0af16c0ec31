import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|yaml|lock|toml|md))(?:#(\w+))?`")


def references():
    for page in PAGES:
        for path, symbol in REFERENCE.findall(page.read_text("utf-8")):
            yield pytest.param(path, symbol, id=f"{page.name}-{path}-{symbol}")


@pytest.mark.parametrize(("path", "symbol"), sorted(set(references()), key=lambda param: param.id))
def test_what_the_docs_point_at_is_there(path, symbol):
    assert (ROOT / path).is_file()
    defined = rf"^(?:class |def |async def )?{symbol}\b" if symbol else ""
    assert re.search(defined, (ROOT / path).read_text("utf-8"), re.MULTILINE)
