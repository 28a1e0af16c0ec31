"""Logged questions, replayed after everything but the lake's rows is lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS, DOCUMENT_ACCESS, RETRIEVALS, SILVER_CHUNKS, TableSpec
from ragstone.embedding.load import load_embedder
from ragstone.lake.purge_landing import purged_uri
from ragstone.lake.read import query
from ragstone.lake.rewrite import rewritable
from ragstone.runtime.settings import Settings
from serving.past.differences import Reason
from serving.past.logged import LoggedQuestion, logged_questions
from serving.past.replay import replay
from serving.served_state import ServedState
from tests.factories import make_bronze_row, make_envelope, make_tombstone, write_rows
from tests.serving.past import history

AGES = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


def logged(settings: Settings) -> list[LoggedQuestion]:
    return logged_questions(settings.lake_root, *AGES)


def showing(settings: Settings, chunk_id: str) -> set[str]:
    """Return the questions that were shown a chunk."""
    return {one.answer_id for one in logged(settings) if chunk_id in {hit.chunk_id for hit in one.shown}}


def around(settings: Settings, chunk_id: str) -> list[LoggedQuestion]:
    """Return some questions that were shown a chunk, and some others."""
    shown, questions = showing(settings, chunk_id), logged(settings)
    others = [one for one in questions if one.answer_id not in shown]
    return [one for one in questions if one.answer_id in shown][:6] + others[::40]


def differing(settings: Settings, questions: Sequence[LoggedQuestion]) -> dict[str, set[tuple[Reason, str | None]]]:
    """Return the reasons of the questions that do not replay identically, by question."""
    return {
        one.answer_id: {(found.reason, found.chunk_id) for found in one.differences}
        for one in replay(settings, questions)
        if not one.identical
    }


def test_every_question_replays_identically_from_rows_alone(lost: Settings) -> None:
    came = list(replay(lost, logged(lost)))

    assert len(came) == 200
    assert [one for one in came if not one.identical or one.differences] == []
    # The history is one: early questions were shown what later ones could not be.
    assert showing(lost, history.chunk_of(3))
    assert showing(lost, history.chunk_of(12))


def test_one_edited_row_makes_exactly_its_questions_differ(lost: Settings, home: Path) -> None:
    settings, edited = history.copied_lake(lost, home), history.chunk_of(20)
    vector = vector_of(settings, edited)
    history.rewrite(settings, history.space_of(settings), edited, embedding=(-vector).tolist())

    expected = showing(settings, edited)
    assert 0 < len(expected) < 200
    assert differing(settings, logged(settings)) == {answer_id: {(Reason.EDITED, edited)} for answer_id in expected}


def test_a_chunk_that_an_edit_brings_up_is_told_as_edited(lost: Settings, home: Path) -> None:
    settings, edited = history.copied_lake(lost, home), history.chunk_of(20)
    question = next(one for one in logged(lost) if one.answer_id not in showing(lost, edited))
    vector = load_embedder(settings).encode_questions([question.question])[0]
    history.rewrite(settings, history.space_of(settings), edited, embedding=vector.tolist())

    assert differing(settings, [question]) == {question.answer_id: {(Reason.EDITED, edited)}}


@pytest.mark.parametrize("spec", [SILVER_CHUNKS, DOCUMENT_ACCESS], ids=lambda spec: spec.name)
def test_a_tombstone_put_into_the_past_is_told_as_deleted(lost: Settings, home: Path, spec: TableSpec) -> None:
    settings, ended = history.copied_lake(lost, home), history.chunk_of(20)
    key = ended if spec is SILVER_CHUNKS else history.document_of(20)
    [row] = query(settings.lake_root, f"SELECT * FROM t WHERE {spec.keys[0]} = ?", (key,), t=spec).to_pylist()
    times = {name: row[name] + timedelta(microseconds=1) for name in ("event_timestamp", "created_timestamp")}
    write_rows(settings.lake_root, spec, [make_tombstone(spec, key, **times)])

    assert_only(lost, settings, ended, (Reason.DELETED, ended))


def test_an_access_list_changed_in_the_past_is_told_as_edited(lost: Settings, home: Path) -> None:
    settings, edited = history.copied_lake(lost, home), history.chunk_of(20)
    history.rewrite(settings, DOCUMENT_ACCESS, history.document_of(20), acl=["nobody"])

    assert_only(lost, settings, edited, (Reason.EDITED, edited))


def test_rows_that_are_gone_are_told_as_deleted_or_where_the_lake_says_so_as_purged(lost: Settings, home: Path) -> None:
    settings, gone = history.copied_lake(lost, home), history.chunk_of(20)
    with rewritable(settings.lake_root, SILVER_CHUNKS) as table:
        table.delete(f"chunk_id = '{gone}'")

    assert_only(lost, settings, gone, (Reason.DELETED, gone))

    blank = make_envelope("purged", "deleted", document_id=history.document_of(20))
    blank = replace(blank, source_uri=purged_uri(history.document_of(20)))
    write_rows(settings.lake_root, BRONZE_DOCUMENTS, [make_bronze_row(blank)])
    one = around(settings, gone)[0]
    assert differing(settings, [one]) == {one.answer_id: {(Reason.PURGED, gone)}}


def assert_only(settings: Settings, changed: Settings, chunk_id: str, why: tuple[Reason, str]) -> None:
    """Assert that the questions that were shown a chunk differ for one reason, and no others."""
    questions, shown = around(settings, chunk_id), showing(settings, chunk_id)
    found = differing(changed, questions)
    # Fewer chunks weigh words otherwise, which can turn a close decision over the same passages.
    found = {answer_id: reasons for answer_id, reasons in found.items() if reasons != {(Reason.THRESHOLD, None)}}
    assert found == {one.answer_id: {why} for one in questions if one.answer_id in shown}


def vector_of(settings: Settings, chunk_id: str) -> npt.NDArray[np.float32]:
    sql = "SELECT embedding FROM t WHERE chunk_id = ?"
    [vector] = query(settings.lake_root, sql, (chunk_id,), t=history.space_of(settings))["embedding"].to_pylist()
    return np.float32(vector)


def test_another_encoder_is_told_as_the_model(lost: Settings) -> None:
    embedding = lost.embedding.model_copy(update={"max_tokens": 64})
    came = replay(lost.model_copy(update={"embedding": embedding}), logged(lost)[:3])

    assert [[difference.reason for difference in one.differences] for one in came] == [[Reason.MODEL]] * 3


def change_log(settings: Settings, answer_id: str, **changes: object) -> None:
    history.rewrite(settings, RETRIEVALS, answer_id, **changes)


def test_a_difference_that_the_lake_does_not_explain_has_no_reason(lost: Settings, home: Path) -> None:
    settings = history.copied_lake(lost, home)
    first = logged(settings)[0]
    raw = query(settings.lake_root, "SELECT hits FROM t WHERE answer_id = ?", (first.answer_id,), t=RETRIEVALS)
    score = str(first.shown[0].score)
    change_log(settings, first.answer_id, hits=raw["hits"][0].as_py().replace(score, str(first.shown[0].score + 1e-5)))

    [one] = replay(settings, logged(settings)[:1])
    assert (one.identical, one.differences, one.explained) == (False, (), False)


def test_events_say_themselves_when_they_cannot_be_replayed(lost: Settings, home: Path) -> None:
    settings = history.copied_lake(lost, home)
    first, second = logged(settings)[:2]
    change_log(settings, first.answer_id, served_state=None)
    change_log(settings, second.answer_id, prompt_hash="of a lost prompt")

    assert differing(settings, logged(settings)[:3]) == {
        first.answer_id: {(Reason.NOT_RECORDED, None)},
        second.answer_id: {(Reason.PROMPT, None)},
    }


def test_what_an_approximate_search_had_missed_is_told(lost: Settings, home: Path) -> None:
    settings = history.copied_lake(lost, home)
    first = logged(settings)[0]
    missed, *kept = first.shown
    state = first.state.model_copy(update={"index_kind": "quantised", "k": len(kept)})
    hits = [
        {"chunk_id": hit.chunk_id, "score": hit.score, "rank": rank, "gate": "passed"}
        for rank, hit in enumerate(kept, 1)
    ]
    change_log(settings, first.answer_id, hits=json.dumps(hits), served_state=state.model_dump_json())

    found = differing(settings, logged(settings)[:1])
    assert found == {first.answer_id: {(Reason.APPROXIMATE, missed.chunk_id)}}


def change_state(settings: Settings, one: LoggedQuestion, **changes: object) -> None:
    state = ServedState.model_validate({**one.state.model_dump(), **changes})
    change_log(settings, one.answer_id, served_state=state.model_dump_json())


def test_rows_on_their_way_to_the_online_store_are_told_as_unsettled(lost: Settings, home: Path) -> None:
    settings = history.copied_lake(lost, home)
    first = logged(settings)[0]
    change_state(settings, first, online_filled_at=AGES[0])

    found = differing(settings, [logged(settings)[0]])
    assert found == {first.answer_id: {(Reason.UNSETTLED, hit.chunk_id) for hit in first.shown}}


def test_another_decision_over_the_same_passages_is_told_as_the_threshold(lost: Settings, home: Path) -> None:
    settings = history.copied_lake(lost, home)
    answered = next(one for one in logged(settings) if not one.abstained)
    change_state(settings, answered, abstain={**answered.state.abstain.model_dump(), "threshold": 1.0})
    changed = next(one for one in logged(settings) if one.answer_id == answered.answer_id)

    assert differing(settings, [changed]) == {answered.answer_id: {(Reason.THRESHOLD, None)}}
