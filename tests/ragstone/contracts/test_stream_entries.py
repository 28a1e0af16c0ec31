import pytest

from ragstone.contracts.stream_entries import from_entry, to_entry
from ragstone.contracts.tables import FEEDBACK, RETRIEVALS
from tests.factories import at, make_feedback_row, make_retrieval_row


@pytest.mark.parametrize(
    ("spec", "row"),
    [
        (
            RETRIEVALS,
            make_retrieval_row(question="Wo? \u2013 «hier»\n2", principal_groups=["a,b", "true"], abstained=True),
        ),
        (FEEDBACK, make_feedback_row(score=-1, comment=None, corrected_answer="null")),
        (FEEDBACK, make_feedback_row(event_timestamp=at(0.123456), chunk_id=None)),
    ],
)
def test_a_row_comes_back_as_it_was_written(spec, row):
    entry = to_entry(spec, row)

    assert all(isinstance(text, str) for text in entry.values())
    assert from_entry(spec, entry) == row


def test_fields_stand_in_the_order_of_the_table():
    row = dict(reversed(make_retrieval_row(served_state="{}").items()))

    assert tuple(to_entry(RETRIEVALS, row)) == RETRIEVALS.column_names


def test_an_entry_from_before_a_nullable_column_still_reads():
    row = make_feedback_row(corrected_answer=None)

    assert "corrected_answer" not in to_entry(FEEDBACK, row)
    assert from_entry(FEEDBACK, to_entry(FEEDBACK, row))["corrected_answer"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"score": "good"},
        {"score": "1.5"},
        {"score": "true"},
        {"score": None},
        {"surprise": "1"},
        {"event_timestamp": "2026-01-01T00:00:00"},
    ],
    ids=["no JSON", "no integer", "a flag", "missing", "not known", "without zone"],
)
def test_an_entry_that_is_no_row_is_refused(change):
    entry = {**to_entry(FEEDBACK, make_feedback_row()), **change}

    with pytest.raises(ValueError, match=r"."):
        from_entry(FEEDBACK, {name: text for name, text in entry.items() if text is not None})
