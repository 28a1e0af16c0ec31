from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ragstone.runtime.errors import BadInputError
from ragstone.runtime.source_settings import RecordColumns
from spark_jobs.sources.records import record_item

COLUMNS = RecordColumns(id="id", text=("body", "note"), title="title", modified_at="at", metadata=("team", "page.size"))
GOOD = {"id": 7, "body": "The lamp is red.", "title": "The lamp", "at": "2026-01-31T12:00:00Z"}


def test_a_record_becomes_an_item_with_its_title_text_and_metadata():
    item = record_item({**GOOD, "note": "Lit.", "team": "ops", "page": {"size": 2}}, COLUMNS, "rows", version="v1")
    assert (item.source_uri, item.version) == ("7", "v1")
    assert item.content == b'{"text":"The lamp is red.\\n\\nLit.","title":"The lamp"}'
    assert item.metadata == {"team": "ops", "page.size": "2"}
    assert item.modified_at == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert item.mime_type == "application/vnd.ragstone.record.plain+json"


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (1.5, "1.5"), (date(2026, 1, 2), "2026-01-02"), (Decimal("1.10"), "1.10")]
)
def test_single_values_become_text(value, text):
    assert record_item({**GOOD, "team": value}, COLUMNS, "rows").metadata == {"team": text}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"body": None}, "has no text"),
        ({"body": ["a", "b"]}, "no single value"),
        ({"body": "\ud800"}, "not Unicode"),
        ({"at": "yesterday"}, "is no time"),
        ({"team": {"a": 1}}, "team is no single value"),
    ],
)
def test_a_bad_record_is_an_item_with_its_refusal(change, reason):
    item = record_item({**GOOD, **change}, COLUMNS, "rows")
    assert item.source_uri == "7"
    assert reason in item.refusal.what


@pytest.mark.parametrize("name", [None, ""])
def test_a_record_without_an_id_is_refused_at_once(name):
    with pytest.raises(BadInputError, match="has no id"):
        record_item({**GOOD, "id": name}, COLUMNS, "rows")


def test_a_column_whose_name_has_a_dot_wins_over_reaching_inside():
    item = record_item({**GOOD, "page.size": "outer", "page": {"size": "inner"}}, COLUMNS, "rows")
    assert item.metadata == {"page.size": "outer"}
