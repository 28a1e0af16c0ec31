"""What the log says of a table: which versions changed rows, whatever maintenance has done since."""

from __future__ import annotations

import json

import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.lake import files
from ragstone.lake.commits import commit_path, content_version, files_added_since
from ragstone.lake.delta import ensure_table, open_table, table_version
from ragstone.lake.files import earliest_event_since
from ragstone.lake.maintenance import vacuum_now
from ragstone.lake.rewrite import rewritable
from tests.factories import at, make_access_row, write_rows


@pytest.fixture
def grown(home):
    """A table of four appends, minutes 1 to 4, compacted and vacuumed afterwards."""
    for minute in (1, 2, 3, 4):
        write_rows(home, DOCUMENT_ACCESS, [make_access_row(f"{minute}.md", event_timestamp=at(minute))])
    open_table(home, DOCUMENT_ACCESS).optimize.compact()
    vacuum_now(home, DOCUMENT_ACCESS)
    return home


def test_maintenance_makes_versions_but_no_content(grown):
    assert table_version(grown, DOCUMENT_ACCESS) > 5
    assert content_version(grown, DOCUMENT_ACCESS) == 4


def test_appending_and_deleting_do_change_content(grown):
    write_rows(grown, DOCUMENT_ACCESS, [make_access_row("5.md")])
    assert content_version(grown, DOCUMENT_ACCESS) == table_version(grown, DOCUMENT_ACCESS)
    with rewritable(grown, DOCUMENT_ACCESS) as table:
        table.delete("true")
        deleted_at = table.version()
    # Closing the table again is one more version, and no content.
    assert content_version(grown, DOCUMENT_ACCESS) == deleted_at < table_version(grown, DOCUMENT_ACCESS)


def test_a_table_without_rows_and_no_table_have_versions_of_their_own(home):
    assert content_version(home, DOCUMENT_ACCESS) == -1
    ensure_table(home, DOCUMENT_ACCESS)
    assert content_version(home, DOCUMENT_ACCESS) == 0


def test_what_a_reader_pinned_is_asked_for_and_nothing_newer(grown):
    assert content_version(grown, DOCUMENT_ACCESS, up_to=2) == 2
    assert content_version(grown, DOCUMENT_ACCESS, up_to=0) == 0


def test_where_the_log_is_gone_the_newest_version_it_can_have_been_is_told(grown):
    _forget_commits(grown, up_to=4)
    assert content_version(grown, DOCUMENT_ACCESS) == 4
    assert files_added_since(grown, DOCUMENT_ACCESS, 3) is None


def test_rows_since_a_version_are_told_through_a_compaction(grown):
    assert earliest_event_since(grown, DOCUMENT_ACCESS, 2) == at(3)
    assert earliest_event_since(grown, DOCUMENT_ACCESS, 4) is None
    assert earliest_event_since(grown, DOCUMENT_ACCESS, -1) == at(1)


def test_a_log_that_does_not_reach_back_only_makes_the_look_go_further(grown):
    _forget_commits(grown, up_to=4)
    write_rows(grown, DOCUMENT_ACCESS, [make_access_row("late.md", event_timestamp=at(9))])
    assert earliest_event_since(grown, DOCUMENT_ACCESS, 2) == at(1)


def test_files_without_statistics_are_read_where_they_still_are(home, monkeypatch):
    write_rows(home, DOCUMENT_ACCESS, [make_access_row("1.md", event_timestamp=at(1))])
    write_rows(home, DOCUMENT_ACCESS, [make_access_row("2.md", event_timestamp=at(2))])
    path = commit_path(home, DOCUMENT_ACCESS, 2)
    actions = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for action in actions:
        action.get("add", {}).pop("stats", None)
    path.write_text("".join(json.dumps(action) + "\n" for action in actions), "utf-8")
    read = []
    monkeypatch.setattr(files, "_earliest_in", lambda file, real=files._earliest_in: read.append(file) or real(file))
    assert earliest_event_since(home, DOCUMENT_ACCESS, 1) == at(2)
    assert len(read) == 1


def _forget_commits(home, up_to):
    """Shorten the log as its retention does: a checkpoint, and the commits before it gone."""
    open_table(home, DOCUMENT_ACCESS).create_checkpoint()
    for version in range(up_to + 1):
        commit_path(home, DOCUMENT_ACCESS, version).unlink()
