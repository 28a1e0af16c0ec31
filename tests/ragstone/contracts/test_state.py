from datetime import datetime

import pytest

from ragstone.contracts.state import NOW, AsOf, newest_rows_sql, state_sql, timestamp_literal
from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.lake import read
from tests.factories import at, make_access_row, write_rows


def states(home, as_of=NOW):
    found = read.state(home, DOCUMENT_ACCESS, as_of).to_pylist()
    return [(row["acl"], row["event_timestamp"], row["created_timestamp"]) for row in found]


def row(known, written, acl="public", *, active=True):
    return make_access_row(
        acl=[acl] if active else None, active=active, event_timestamp=at(known), created_timestamp=at(written)
    )


def test_the_greatest_event_time_counts_whenever_it_was_written(home):
    write_rows(home, DOCUMENT_ACCESS, [row(2, 3, "new"), row(1, 9, "late")])
    assert states(home) == [(["new"], at(2), at(3))]


def test_on_equal_event_times_the_last_written_counts(home):
    write_rows(home, DOCUMENT_ACCESS, [row(1, 3, "second"), row(1, 2, "first")])
    assert states(home) == [(["second"], at(1), at(3))]


def test_on_a_tie_the_tombstone_wins(home):
    write_rows(home, DOCUMENT_ACCESS, [row(1, 2), row(1, 2, active=False)])
    assert states(home) == []


def test_a_tombstone_hides_what_came_before_and_only_that(home):
    write_rows(home, DOCUMENT_ACCESS, [row(1, 1, "before"), row(2, 2, active=False), row(3, 3, "after")])
    assert states(home) == [(["after"], at(3), at(3))]
    assert states(home, AsOf(known_by=at(2))) == []
    assert states(home, AsOf(known_by=at(1))) == [(["before"], at(1), at(1))]
    assert states(home, AsOf(known_by=at(0))) == []


def test_bounds_are_inclusive_to_the_microsecond(home):
    write_rows(home, DOCUMENT_ACCESS, [row(1, 1)])
    just_before = at(1).replace(second=59, microsecond=999_999, minute=0)
    assert states(home, AsOf(known_by=at(1), written_by=at(1)))
    assert not states(home, AsOf(known_by=just_before))
    assert not states(home, AsOf(written_by=just_before))


def test_a_late_arrival_was_not_served_before_it_was_written(home):
    write_rows(home, DOCUMENT_ACCESS, [row(1, 1, "early"), row(2, 9, "late")])
    assert states(home, AsOf(known_by=at(5))) == [(["late"], at(2), at(9))]
    assert states(home, AsOf(known_by=at(5), written_by=at(5))) == [(["early"], at(1), at(1))]


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no time zone"):
        timestamp_literal(datetime(2026, 1, 1))


def test_the_rule_is_plain_sql_over_the_columns_of_the_contract():
    sql = state_sql(DOCUMENT_ACCESS, "somewhere")
    assert sql.startswith(newest_rows_sql(DOCUMENT_ACCESS, "somewhere"))
    assert all(name in sql for name in DOCUMENT_ACCESS.column_names)
