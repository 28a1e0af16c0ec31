"""Times on the command line carry their zone, or are refused."""

from datetime import UTC, datetime

import pytest
import typer

from orchestration.cli.moments import moment


@pytest.mark.parametrize("text", ["2026-01-31T08:00:00Z", "2026-01-31T09:00:00+01:00", "2026-01-31 08:00:00.000Z"])
def test_a_moment_is_read_with_its_zone(text):
    assert moment(text) == datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-01-31T08:00:00", "2026-01-31", "yesterday", ""])
def test_a_time_without_a_zone_or_none_at_all_is_refused_with_an_example(text):
    with pytest.raises(typer.BadParameter, match="2026-01-31T08:00:00Z"):
        moment(text)
