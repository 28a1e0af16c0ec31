"""The index commands for people and for programs: what was refused and why, what changed, which exit code."""

from __future__ import annotations

import json

import pytest

from ragstone.contracts.tables import DOCUMENT_STATS, QUALITY_RESULTS, SILVER_CHUNKS
from ragstone.runtime import errors
from serving.index import build, publish
from serving.index.snapshot import open_current
from tests.factories import at, make_chunk_row, make_document_row, write_rows
from tests.serving.index.lake import EAST, NORTH, end, put


@pytest.fixture
def refused(settings):
    """A home that serves one index and keeps another that was refused."""
    put(settings, NORTH)
    build.run(settings, "run-1")
    put(settings, EAST)
    rewritten = make_chunk_row(EAST.text, EAST.source_uri, run_id="run-x", created_timestamp=at(1))
    write_rows(settings.lake_root, SILVER_CHUNKS, [rewritten])
    write_rows(settings.lake_root, QUALITY_RESULTS, [_blocked()])
    with pytest.raises(errors.IndexGateError):
        build.run(settings, "run-2")
    return publish.version_names(settings.index_root)


def _blocked():
    judged = {"run_id": "run-x", "dataset": "silver.chunks", "kind": "gate", "rule": "a rule", "outcome": "failed"}
    return {**judged, "failed_rows": 0, "reason": None, "ruleset_hash": "0" * 32, "recorded_at": at(5)}


def test_a_blocked_gate_ends_with_exit_code_3_and_says_where_to_look(command, refused):
    told = command("index", "build")

    assert told.code == errors.EXIT_GATE_BLOCKED
    assert f"next: ragstone index explain {refused[0]}" in told.err
    assert command("index", "publish", refused[0]).code == errors.EXIT_GATE_BLOCKED


def test_the_list_shows_what_was_refused_and_by_which_gates(command, refused):
    told = command("index", "list")
    listed = command("--json", "index", "list").document

    assert "quality" in next(line for line in told.out.splitlines() if refused[0] in line)
    assert [(each["version"], each["current"], each["failed_gates"]) for each in listed] == [
        (refused[0], False, ["quality"]),
        (refused[1], True, []),
    ]


def test_a_refusal_is_explained_with_what_was_got_and_wanted(command, refused):
    told = command("--json", "index", "explain", refused[0]).document

    [failed] = [gate for gate in told["gates"] if gate["outcome"] == "failed"]
    assert (told["version"], told["verdict"], failed["name"]) == (refused[0], "refused", "quality")
    assert "1 rows of silver.chunks by run run-x, blocked" in failed["got"]
    shown = command("index", "explain", refused[0]).out
    assert "refused" in shown
    assert "not applied" in shown
    assert command("index", "explain", "no-version").code == errors.EXIT_FAILED


def test_what_has_been_mended_is_published_by_hand(command, settings, refused):
    write_rows(settings.lake_root, QUALITY_RESULTS, [{**_blocked(), "outcome": "passed", "recorded_at": at(6)}])

    assert command("index", "publish", refused[0]).code == errors.EXIT_OK
    assert open_current(settings).manifest.version == refused[0]


def test_a_difference_is_a_table_with_titles(command, settings):
    document = make_document_row(EAST.text, EAST.source_uri, title="The eastern tower")
    write_rows(settings.lake_root, DOCUMENT_STATS, [{name: document.get(name) for name in DOCUMENT_STATS.column_names}])
    put(settings, NORTH)
    build.run(settings, "run-1")
    put(settings, EAST)
    end(settings, SILVER_CHUNKS, NORTH.chunk_id, created_timestamp=at(9))
    build.run(settings, "run-2")
    newer, older = publish.version_names(settings.index_root)

    shown = command("index", "diff", older, newer).out
    document = json.loads(command("--json", "index", "diff", older, newer).out)

    assert "1 chunks added, 1 removed, 0 kept" in shown
    assert "The eastern tower" in shown
    assert {each["document_id"]: (each["title"], each["change"]) for each in document["documents"]} == {
        EAST.document_id: ("The eastern tower", "added"),
        NORTH.document_id: (None, "removed"),
    }
