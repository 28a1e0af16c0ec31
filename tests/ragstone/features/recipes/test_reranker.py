"""Question, positive, hard negatives: from judgements, with the texts as they were shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import FEEDBACK, RETRIEVALS, SILVER_CHUNKS
from ragstone.features.recipes import reranker
from ragstone.features.recipes.reranker import reranker_labels, reranker_set
from ragstone.runtime.errors import ContractError
from tests.factories import at, make_chunk_row, make_feedback_row, make_retrieval_row, make_tombstone, write_rows
from tests.ragstone.features.lake import later

CHUNKS = [make_chunk_row(f"text {name}", f"{name}.md") for name in "abcd"]
A, B, C, D = (chunk["chunk_id"] for chunk in CHUNKS)


@pytest.fixture
def lake(home: Path) -> Path:
    write_rows(home, SILVER_CHUNKS, CHUNKS)
    return home


def asked(root: Path, answer_id: str, shown: tuple[str, ...], cited: tuple[str, ...] = (), minute: float = 10) -> None:
    row = make_retrieval_row(
        answer_id, question=f"question {answer_id}", shown=shown, cited=cited, event_timestamp=at(minute)
    )
    write_rows(root, RETRIEVALS, [row])


def judged(root: Path, answer_id: str, minute: float = 20, **said: Any) -> None:
    row = make_feedback_row(answer_id, feedback_id=f"{answer_id} {minute}", event_timestamp=at(minute), **said)
    write_rows(root, FEEDBACK, [row])


def triples(root: Path, as_of: AsOf = AsOf()) -> list[tuple[str, str, list[str]]]:  # noqa: B008
    rows = reranker_set(root, as_of).table.to_pylist()
    return [(row["question"], row["positive_text"], row["negative_texts"]) for row in rows]


def test_a_chosen_chunk_is_the_positive_and_all_others_shown_are_negatives(lake: Path) -> None:
    asked(lake, "1", (A, B, C), cited=(A,))
    judged(lake, "1", score=1, chunk_id=C)

    [row] = reranker_set(lake).table.to_pylist()
    assert (row["question"], row["positive_chunk_id"], row["positive_text"]) == ("question 1", C, "text c")
    assert (row["positive_rank"], row["negative_ranks"]) == (3, [1, 2])
    assert (row["negative_chunk_ids"], row["negative_texts"]) == ([A, B], ["text a", "text b"])
    assert (row["event_timestamp"], row["judged_at"]) == (at(10), at(20))
    assert row["negative_scores"] == pytest.approx([0.9, 0.8])


def test_thumbs_up_makes_every_cited_chunk_a_positive(lake: Path) -> None:
    asked(lake, "1", (A, B, C, D), cited=(C, A))
    judged(lake, "1", score=1)

    assert triples(lake) == [
        ("question 1", "text a", ["text b", "text d"]),
        ("question 1", "text c", ["text b", "text d"]),
    ]


@pytest.mark.parametrize("said", [{"score": -1}, {"score": 0, "comment": "so-so"}])
def test_a_judgement_that_names_no_good_passage_gives_no_row(lake: Path, said: dict[str, Any]) -> None:
    asked(lake, "1", (A, B), cited=(A,))
    judged(lake, "1", **said)

    assert triples(lake) == []


def test_a_choice_counts_under_thumbs_down_too(lake: Path) -> None:
    asked(lake, "1", (A, B), cited=(A,))
    judged(lake, "1", score=-1, chunk_id=B)

    assert triples(lake) == [("question 1", "text b", ["text a"])]


def test_the_newest_judgement_counts_and_one_after_the_bound_does_not(lake: Path) -> None:
    asked(lake, "1", (A, B), cited=(A,))
    judged(lake, "1", 20, score=1)
    judged(lake, "1", 30, score=1, chunk_id=B)

    assert triples(lake) == [("question 1", "text b", ["text a"])]
    assert triples(lake, AsOf(known_by=at(29))) == [("question 1", "text a", ["text b"])]
    assert triples(lake, AsOf(known_by=at(19))) == []


def test_texts_are_those_of_the_time_of_the_question(lake: Path) -> None:
    asked(lake, "1", (A, B, C), cited=(A,), minute=10)
    asked(lake, "2", (A, B, C), cited=(A,), minute=60)
    judged(lake, "1", 70)
    judged(lake, "2", 70)
    dead = make_tombstone(SILVER_CHUNKS, B, event_timestamp=at(30), created_timestamp=at(31))
    # No chunk changes its text in life; here one does, so that it shows which version was read.
    fresh = later(CHUNKS[2], 40, 41, text="TEXT C")
    fetched_before_and_written_after = later(CHUNKS[0], 5, 50, text="TEXT A")
    write_rows(lake, SILVER_CHUNKS, [dead, fresh, fetched_before_and_written_after])

    assert triples(lake) == [("question 1", "text a", ["text b", "text c"]), ("question 2", "TEXT A", ["TEXT C"])]
    manifest = reranker_set(lake).manifest
    assert (manifest["chunks_without_text"], manifest["answers"]) == (1, {"judged": 2, "used": 2})


def test_a_text_from_after_the_question_is_refused(lake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(lake, "1", (A, B), cited=(A,), minute=-5)
    judged(lake, "1")
    join = reranker.join_features

    def from_the_future(root: Path, labels: Any, *arguments: Any, **named: Any) -> Any:
        joined = join(root, labels, *arguments, **named)
        column = joined.column_names.index("text__event_timestamp")
        return joined.set_column(column, "text__event_timestamp", [[at(0)] * joined.num_rows])

    monkeypatch.setattr(reranker, "join_features", from_the_future)
    with pytest.raises(ContractError, match="after its question"):
        reranker_set(lake)


def test_equal_text_elsewhere_is_no_negative(lake: Path) -> None:
    copy = make_chunk_row("text a", "copy.md")
    write_rows(lake, SILVER_CHUNKS, [copy])
    asked(lake, "1", (A, copy["chunk_id"], B), cited=(A,))
    judged(lake, "1", score=1)

    assert triples(lake) == [("question 1", "text a", ["text b"])]


def test_labels_name_every_chunk_that_was_shown_with_a_judged_answer(lake: Path) -> None:
    asked(lake, "1", (A, B), cited=(A,))
    asked(lake, "never judged", (C, D), cited=(C,))
    judged(lake, "1", score=1)

    rows = reranker_labels(lake).to_pylist()
    assert [(row["chunk_id"], row["rank"], row["cited"], row["relevant"]) for row in rows] == [
        (A, 1, True, True),
        (B, 2, False, False),
    ]
    assert {row["event_timestamp"] for row in rows} == {at(10)}


def test_a_lake_without_events_gives_no_rows_with_every_column(lake: Path) -> None:
    found = reranker_set(lake)

    assert found.table.num_rows == 0
    assert "negative_texts" in found.table.column_names


def test_it_is_written_with_its_manifest(lake: Path, tmp_path: Path) -> None:
    asked(lake, "1", (A, B), cited=(A,))
    judged(lake, "1")
    path = reranker_set(lake, AsOf(known_by=at(90))).write(tmp_path / "out" / "set.parquet")

    assert pq.read_table(tmp_path / "out" / "set.parquet").num_rows == 1
    manifest = json.loads(path.read_text("utf-8"))
    assert (manifest["recipe"], manifest["rows"]) == ("reranker", 1)
    assert manifest["as_of"] == {"known_by": at(90).isoformat(), "written_by": None}
    assert manifest["table_versions"] == {"events.retrievals": 1, "events.feedback": 1, "silver.chunks": 1}
