"""Other settings over logged questions, each on its own day's corpus."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest

from ragstone.contracts.tables import FEEDBACK
from ragstone.runtime.errors import BadInputError, UsageError
from ragstone.runtime.settings import Settings
from serving.past.asked import AskedQuestion, asked_as_logged, asked_in_file
from serving.past.backtest import Compared, backtest, summary
from serving.past.logged import logged_questions
from serving.past.ways import ways
from tests.factories import at, make_feedback_row, write_rows
from tests.fake_openai import fake_openai
from tests.serving.past import history
from tests.serving.past.test_replay import AGES, logged


def compared(settings: Settings, questions: list[AskedQuestion], **change: object) -> list[Compared]:
    async def both() -> list[Compared]:
        async with ways(settings, **{"prompt": None, "space": None, "k": None, **change}) as (before, after):
            return [one async for one in backtest(questions, before, after)]

    return asyncio.run(both())


def some(settings: Settings) -> list[AskedQuestion]:
    """Return questions of every day of the history."""
    return asked_as_logged(settings.lake_root, logged(settings)[::20])


def test_each_question_is_asked_on_the_corpus_of_its_own_day(lost: Settings) -> None:
    first, last = logged(lost)[0], logged(lost)[-1]
    text = "Where is " + history.text_of(3).split("the ", 1)[1].split(" stands")[0] + "?"
    days = [AskedQuestion(text, day, history.PUBLIC, frozenset()) for day in (first.asked_at, last.asked_at)]

    early, late = compared(lost, days, k=40)
    assert history.chunk_of(3) in early.after.chunk_ids
    assert history.chunk_of(3) not in late.after.chunk_ids
    assert history.chunk_of(3, version=1) in late.after.chunk_ids


def test_what_was_shown_then_is_what_the_way_of_today_finds_on_that_day(lost: Settings) -> None:
    shown = {one.asked_at: tuple(hit.chunk_id for hit in one.shown) for one in logged(lost)[:60]}
    questions = [one for one in some(lost) if one.asked_at in shown]

    came = compared(lost, questions, k=1)
    assert {one.asked_at: one.before.chunk_ids for one in came} == {
        one.asked_at: shown[one.asked_at] for one in questions
    }
    assert [one.after.chunk_ids for one in came] == [one.before.chunk_ids[:1] for one in came]


def test_recall_is_told_of_what_was_judged_by_its_newest_judgement(lost: Settings, home: Path) -> None:
    settings = history.copied_lake(lost, home)
    one, other, third = logged(settings)[:3]
    last_shown = one.shown[-1].chunk_id
    judgements = [
        make_feedback_row(one.answer_id, feedback_id="1", chunk_id=one.shown[0].chunk_id),
        make_feedback_row(one.answer_id, feedback_id="2", chunk_id=last_shown, event_timestamp=at(3)),
        make_feedback_row(third.answer_id, feedback_id="3", score=-1),
    ]
    write_rows(settings.lake_root, FEEDBACK, judgements)
    asked = asked_as_logged(settings.lake_root, [one, other, third])

    assert [question.relevant for question in asked] == [{last_shown}, frozenset(), frozenset()]
    told = summary(compared(settings, asked, k=1))
    assert (told.questions, told.judged, told.recall) == (3, 1, (1.0, 0.0))
    assert told.hits_changed == 3


def test_thumbs_up_judge_what_the_answer_cites(lost: Settings, home: Path) -> None:
    settings = history.copied_lake(lost, home)
    one = next(one for one in logged(settings) if one.cited)
    write_rows(settings.lake_root, FEEDBACK, [make_feedback_row(one.answer_id)])

    assert [question.relevant for question in asked_as_logged(settings.lake_root, [one])] == [set(one.cited)]


def test_another_prompt_is_asked_of_the_language_model_and_the_answers_compared(lost: Settings, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts"
    prompts.mkdir()
    known = (lost.conf / "prompts" / f"{lost.llm.prompt}.txt").read_text("utf-8")
    (prompts / f"{lost.llm.prompt}.txt").write_text(known)
    (prompts / "terse.txt").write_text("Be terse. " + known)
    one = next(one for one in logged(lost) if not one.abstained)
    with fake_openai() as model:
        model.says("It stands there [1].")
        llm = lost.llm.model_copy(update={"url": model.url})
        settings = lost.model_copy(update={"conf": tmp_path, "llm": llm})
        [came] = compared(settings, asked_as_logged(lost.lake_root, [one]), prompt="terse")
        systems = [request["messages"][0]["content"][:10] for request in model.requests]

    assert (came.before.answer, came.answer_changed) == ("It stands there [1].", False)
    assert systems == ["You answer", "Be terse. "]


def test_a_prompt_without_a_model_nothing_varied_and_no_question_are_refused(lost: Settings) -> None:
    with pytest.raises(UsageError, match="needs a language model"):
        compared(lost, some(lost), prompt="answer_v1")
    with pytest.raises(UsageError, match="nothing is varied"):
        compared(lost, some(lost))
    with pytest.raises(UsageError, match="no question"):
        compared(lost, [], k=1)


def test_questions_of_a_file_say_their_day_who_asks_and_what_answers(tmp_path: Path) -> None:
    path = tmp_path / "questions.jsonl"
    told = {"question": " Where? ", "asked_at": "2026-01-01T01:00:00+01:00", "groups": ["staff"], "chunk_ids": ["a"]}
    path.write_text(json.dumps(told) + "\n\n" + json.dumps({"question": "When?"}))

    first, second = asked_in_file(path)
    assert (first.text, first.asked_at, first.relevant) == ("Where?", at(0), {"a"})
    assert first.principal.groups == {"public", "staff"}
    assert (second.relevant, second.principal.groups) == (frozenset(), {"public"})
    assert second.asked_at - first.asked_at > timedelta(0)


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        "{}",
        '{"question": " "}',
        '{"question": "Q", "asked_at": "2026-01-01"}',
        '{"question": "Q", "other": 1}',
    ],
)
def test_a_line_that_is_no_question_is_refused_by_its_number(tmp_path: Path, line: str) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "When?"}\n' + line)

    with pytest.raises(BadInputError) as refused:
        asked_in_file(path)
    assert refused.value.where == f"{path}, line 2"


def test_only_questions_of_the_time_asked_for_are_taken(lost: Settings) -> None:
    every = logged_questions(lost.lake_root, *AGES)
    begin, end = every[10].asked_at, every[20].asked_at
    assert logged_questions(lost.lake_root, begin, end) == every[10:20]
