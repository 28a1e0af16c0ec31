"""What was shown, cited and judged, as counts per chunk and document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import (
    CHUNK_ENGAGEMENT,
    DOCUMENT_ENGAGEMENT,
    DOCUMENT_STATS,
    FEEDBACK,
    RETRIEVALS,
    SILVER_CHUNKS,
    TableSpec,
)
from ragstone.lake import engagement, read
from ragstone.lake.delta import table_version
from ragstone.lake.engagement import count_engagement
from tests.factories import at, make_chunk_row, make_feedback_row, make_retrieval_row, make_tombstone, write_rows
from tests.ragstone.features.lake import later, make_stats_row

FIRST, SECOND = make_chunk_row("first", "guide.md"), make_chunk_row("second", "guide.md", ordinal=1)
OTHER = make_chunk_row("other", "notes.md")
A, B, C = (chunk["chunk_id"] for chunk in (FIRST, SECOND, OTHER))
GUIDE, NOTES = document_id("notes", "guide.md"), document_id("notes", "notes.md")
NAMES = ("shown", "cited", "chosen", "thumbs_up", "thumbs_down")


@pytest.fixture
def lake(home: Path) -> Path:
    write_rows(home, SILVER_CHUNKS, [FIRST, SECOND, OTHER])
    write_rows(home, DOCUMENT_STATS, [make_stats_row("guide.md"), make_stats_row("notes.md")])
    return home


def asked(root: Path, answer_id: str, shown: tuple[str, ...], cited: tuple[str, ...] = (), minute: float = 1) -> None:
    row = make_retrieval_row(answer_id, shown=shown, cited=cited, event_timestamp=at(minute))
    write_rows(root, RETRIEVALS, [row])


def judged(root: Path, answer_id: str, minute: float, **said: Any) -> None:
    row = make_feedback_row(answer_id, feedback_id=f"{answer_id} {minute}", event_timestamp=at(minute), **said)
    write_rows(root, FEEDBACK, [row])


def counts(root: Path, spec: TableSpec = CHUNK_ENGAGEMENT, as_of: AsOf | None = None) -> dict[str, tuple[int, ...]]:
    found = read.state(root, spec, as_of or AsOf()).to_pylist()
    return {row[spec.keys[0]]: tuple(row[f"{name}_count"] for name in NAMES) for row in found}


def test_answers_are_counted_per_chunk_and_document(lake: Path) -> None:
    asked(lake, "1", (A, B, C), (A, B))
    asked(lake, "2", (A, C), (C,))
    judged(lake, "1", 2, score=1)
    judged(lake, "2", 2, score=-1, chunk_id=A)

    assert count_engagement(lake, "run-1") == {"silver.chunk_engagement": 3, "silver.document_engagement": 2}
    assert counts(lake) == {A: (2, 1, 1, 1, 0), B: (1, 1, 0, 1, 0), C: (2, 1, 0, 0, 1)}
    # Two chunks of one document in one answer are one answer.
    assert counts(lake, DOCUMENT_ENGAGEMENT) == {GUIDE: (2, 1, 1, 1, 0), NOTES: (2, 1, 0, 0, 1)}


def test_what_the_gate_dropped_was_not_shown(lake: Path) -> None:
    hits = json.dumps([{"chunk_id": A, "score": 0.9, "gate": "forbidden"}])
    write_rows(lake, RETRIEVALS, [make_retrieval_row("1", hits=hits)])

    count_engagement(lake, "run-1")
    assert counts(lake) == {}


def test_the_newest_judgement_of_an_answer_counts_alone(lake: Path) -> None:
    asked(lake, "1", (A, B), (A,))
    judged(lake, "1", 3, score=-1, chunk_id=B)
    judged(lake, "1", 2, score=1)
    count_engagement(lake, "run-1")
    assert counts(lake) == {A: (1, 1, 0, 0, 1), B: (1, 0, 1, 0, 0)}

    judged(lake, "1", 4, score=1)
    count_engagement(lake, "run-2")
    assert counts(lake) == {A: (1, 1, 0, 1, 0), B: (1, 0, 0, 0, 0)}


def test_with_nothing_new_nothing_is_written(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert count_engagement(lake, "run-1") == {}
    assert table_version(lake, CHUNK_ENGAGEMENT) == -1
    asked(lake, "1", (A,))
    count_engagement(lake, "run-2")
    versions = [table_version(lake, spec) for spec in (CHUNK_ENGAGEMENT, DOCUMENT_ENGAGEMENT)]

    monkeypatch.setattr(engagement, "_changed", None)
    assert set(count_engagement(lake, "run-3").values()) == {0}
    assert [table_version(lake, spec) for spec in (CHUNK_ENGAGEMENT, DOCUMENT_ENGAGEMENT)] == versions


def test_only_what_changed_gets_a_row(lake: Path) -> None:
    asked(lake, "1", (A, B))
    count_engagement(lake, "run-1")
    asked(lake, "2", (B, C), minute=5)

    assert count_engagement(lake, "run-2") == {"silver.chunk_engagement": 2, "silver.document_engagement": 2}


def test_a_row_has_the_time_of_the_newest_event_it_counts_and_the_past_stays(lake: Path) -> None:
    asked(lake, "1", (A, B), (A,), minute=10)
    count_engagement(lake, "run-1")
    judged(lake, "1", 20, score=1)
    count_engagement(lake, "run-2")

    rows = read.newest_rows(lake, CHUNK_ENGAGEMENT).to_pylist()
    assert {row["chunk_id"]: row["event_timestamp"] for row in rows} == {A: at(20), B: at(10)}
    assert counts(lake, as_of=AsOf(known_by=at(19.9)))[A] == (1, 1, 0, 0, 0)
    assert counts(lake, as_of=AsOf(known_by=at(20)))[A] == (1, 1, 0, 1, 0)
    assert counts(lake, as_of=AsOf(known_by=at(9.9))) == {}


def test_an_event_that_is_drained_late_counts_from_the_newest_row_on(lake: Path) -> None:
    asked(lake, "2", (A,), minute=20)
    count_engagement(lake, "run-1")
    asked(lake, "1", (A,), minute=10)
    count_engagement(lake, "run-2")

    assert counts(lake)[A][0] == 2
    assert counts(lake, as_of=AsOf(known_by=at(15))) == {}


def test_what_died_gets_a_tombstone_and_what_lives_again_its_counts(lake: Path) -> None:
    asked(lake, "1", (A, C), minute=10)
    count_engagement(lake, "run-1")
    write_rows(
        lake, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, A, event_timestamp=at(30), created_timestamp=at(31))]
    )

    assert count_engagement(lake, "run-2")["silver.chunk_engagement"] == 1
    assert counts(lake) == {C: (1, 0, 0, 0, 0)}
    assert counts(lake, as_of=AsOf(known_by=at(29)))[A] == (1, 0, 0, 0, 0)
    assert count_engagement(lake, "run-3")["silver.chunk_engagement"] == 0

    write_rows(lake, SILVER_CHUNKS, [later(FIRST, 40, 41)])
    count_engagement(lake, "run-4")
    assert counts(lake)[A] == (1, 0, 0, 0, 0)
    assert A not in counts(lake, as_of=AsOf(known_by=at(39)))


def test_a_chunk_the_lake_does_not_know_is_not_counted(lake: Path) -> None:
    asked(lake, "1", ("f" * 32,))
    count_engagement(lake, "run-1")

    assert (counts(lake), counts(lake, DOCUMENT_ENGAGEMENT)) == ({}, {})


@pytest.mark.parametrize("name", ["_changed", "ensure_table", "commit_rows"])
@pytest.mark.parametrize("turn", [1, 2])
def test_killed_anywhere_the_next_count_makes_it_good(
    lake: Path, monkeypatch: pytest.MonkeyPatch, name: str, turn: int
) -> None:
    asked(lake, "1", (A, B, C), (A,))
    original, calls = getattr(engagement, name), []

    def dying(*arguments: Any) -> Any:
        calls.append(name)
        if len(calls) == turn:
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(engagement, name, dying)
        with pytest.raises(KeyboardInterrupt):
            count_engagement(lake, "run-1")
    count_engagement(lake, "run-2")

    assert counts(lake) == {A: (1, 1, 0, 0, 0), B: (1, 0, 0, 0, 0), C: (1, 0, 0, 0, 0)}
    assert read.relation(lake, CHUNK_ENGAGEMENT).count_rows() == 3
    assert read.relation(lake, DOCUMENT_ENGAGEMENT).count_rows() == 2
