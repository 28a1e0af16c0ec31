import pytest

from ragstone.contracts.landed_record import landed_record, record_mime_type
from ragstone.runtime.errors import BadInputError
from spark_jobs.parsers.parse import parse


def test_a_records_text_is_read_as_what_it_is_written_in():
    content = landed_record("The lamp", "# Colour\n\nThe lamp is *red*.")
    document = parse(content, record_mime_type("text/markdown"), "42")
    assert (document.title, document.text) == ("The lamp", "Colour\n\nThe lamp is red.")
    assert [heading.title for heading in document.headings] == ["Colour"]
    assert parse(content, record_mime_type("text/plain"), "42").text == "# Colour\n\nThe lamp is *red*."


def test_a_record_without_a_title_is_called_by_what_its_text_says_or_by_its_id():
    assert parse(landed_record(None, "# Colour\n\nRed."), record_mime_type("text/markdown"), "42").title == "Colour"
    assert parse(landed_record(None, "Red."), record_mime_type("text/plain"), "lamp 42").title == "lamp 42"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"title": "x"}', b"[" * 100_000])
def test_bytes_that_are_no_record_are_refused(content):
    with pytest.raises(BadInputError, match="not a landed record"):
        parse(content, record_mime_type("text/plain"), "42")
