from dataclasses import replace

from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import QUARANTINE
from ragstone.lake.delta import table_version
from ragstone.lake.quarantine import (
    dismiss,
    entries,
    entry_id,
    open_entries,
    resolve,
    retried_entries,
    retry,
    set_aside,
)


def rejection(item="a.md", content="1" * 64, step="ingest"):
    return Rejection(
        step, "notes", item, "the item is empty: got 0 bytes, wanted text", ("rule",), content_hash=content
    )


def items(table):
    return [(row["item_key"], row["content_hash"]) for row in table.to_pylist()]


def test_what_was_set_aside_is_open_with_its_facts(home):
    assert set_aside(home, [rejection(), rejection("b.md")], "run-1") == 2
    first = open_entries(home).to_pylist()[0]
    wanted = {**vars(rejection(first["item_key"])), "failed_rules": ["rule"], "run_id": "run-1", "resolved_at": None}
    assert {name: first[name] for name in wanted} == wanted


def test_a_rerun_writes_no_second_entry(home):
    set_aside(home, [rejection()], "run-1")
    version = table_version(home, QUARANTINE)
    assert set_aside(home, [rejection(), rejection()], "run-2") == 0
    assert table_version(home, QUARANTINE) == version


def test_another_version_of_an_item_is_another_entry(home):
    set_aside(home, [rejection(content="1" * 64)], "run-1")
    assert set_aside(home, [rejection(content="2" * 64)], "run-2") == 1


def test_resolving_closes_an_entry_and_rejecting_again_opens_it(home):
    set_aside(home, [rejection(), rejection("b.md")], "run-1")
    assert resolve(home, [entry_id(rejection()), "unknown"], "run-2") == 1
    assert items(open_entries(home)) == items(open_entries(home, "ingest")) == [("b.md", "1" * 64)]
    assert {row["item_key"]: row["resolved_at"] is None for row in entries(home).to_pylist()} == {
        "a.md": False,
        "b.md": True,
    }
    assert resolve(home, [entry_id(rejection())], "run-3") == 0
    assert set_aside(home, [rejection()], "run-4") == 1
    assert len(items(open_entries(home))) == 2


def test_entries_of_one_step_are_told_apart(home):
    set_aside(home, [rejection(), rejection(step="preprocess")], "run-1")
    assert open_entries(home, "preprocess")["step"].to_pylist() == ["preprocess"]
    assert open_entries(home, "embed").num_rows == 0


def state_of(home):
    return {row["item_key"]: (row["resolution"], row["resolved_at"] is None) for row in entries(home).to_pylist()}


def test_a_dismissed_version_is_not_entered_again_but_another_is(home):
    set_aside(home, [rejection()], "run-1")
    assert dismiss(home, entry_id(rejection()), "run-2", "ann", "a scan nobody needs")
    assert not dismiss(home, entry_id(rejection()), "run-3", "bob", "again")
    assert set_aside(home, [rejection()], "run-4") == 0
    assert open_entries(home).num_rows == 0
    closed = entries(home).to_pylist()[0]
    assert (closed["resolved_by"], closed["note"], closed["run_id"]) == ("ann", "a scan nobody needs", "run-2")
    assert set_aside(home, [rejection(content="2" * 64)], "run-5") == 1


def test_an_item_without_known_content_stays_dismissed_for_the_same_reason_only(home):
    set_aside(home, [rejection(content=None)], "run-1")
    dismiss(home, entry_id(rejection(content=None)), "run-2", "ann", "known")
    assert set_aside(home, [rejection(content=None)], "run-3") == 0
    assert set_aside(home, [replace(rejection(content=None), reason="it may not be read")], "run-4") == 1


def test_a_retried_entry_is_open_until_it_is_judged_and_marked_once(home):
    set_aside(home, [rejection(), rejection("b.md")], "run-1")
    for item in ("a.md", "b.md"):
        assert retry(home, entry_id(rejection(item)), "run-2", "ann")
    assert set(retried_entries(home, "ingest")["item_key"].to_pylist()) == {"a.md", "b.md"}
    assert set_aside(home, [rejection()], "run-3") == 1
    resolve(home, [entry_id(rejection("b.md"))], "run-3")
    assert state_of(home) == {"a.md": (None, True), "b.md": ("mended", False)}
    assert retried_entries(home, "ingest").num_rows == 0
    assert not retry(home, entry_id(rejection("b.md")), "run-4", "ann")


def test_a_dismissed_version_can_be_retried_and_mended(home):
    set_aside(home, [rejection()], "run-1")
    dismiss(home, entry_id(rejection()), "run-2", "ann", "known")
    assert retry(home, entry_id(rejection()), "run-3", "bob")
    assert state_of(home) == {"a.md": ("retry", True)}
    dismiss(home, entry_id(rejection()), "run-4", "ann", "known")
    assert resolve(home, [entry_id(rejection())], "run-5") == 1
    assert state_of(home) == {"a.md": ("mended", False)}
