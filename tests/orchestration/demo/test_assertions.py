"""What the acts assert fails when the system does not do it."""

from __future__ import annotations

import pytest

from orchestration.demo.act2_questions import check_answered, check_opens, check_refused
from orchestration.demo.act4_edit_delete import (
    check_answered_from,
    check_answered_from_edit,
    check_not_answered_from,
)
from orchestration.demo.choice import Chosen, Document
from orchestration.demo.questions import Question
from orchestration.demo.stage import DemoError
from ragstone.runtime.errors import EXIT_FAILED, exit_code

SENTENCE = "The kettle in the harbour office\nmust never be descaled."
CHOSEN = Chosen(Document("d1", "notes/kettle.txt", f"Kettles. {SENTENCE}"), SENTENCE)
QUESTION = Question("Must it be descaled?", "notes/kettle.txt", "must never")
REVISED = Chosen(CHOSEN.document, f"{SENTENCE[:-1]}, as Ottoline has shown.")


def answer(text=f"“{SENTENCE}” [1]", document="d1", uri="notes/kettle.txt", quote=SENTENCE):
    citation = {"document_id": document, "source_uri": uri, "quote": quote, "url": "/v1/chunks/c", "char_start": 9}
    return {"answer": text, "abstained": False, "citations": [citation]}


NOTHING = {"answer": "I don't know.", "abstained": True, "citations": []}


def test_an_answer_from_the_right_document_holds():
    check_answered(QUESTION, answer())


@pytest.mark.parametrize("given", [NOTHING, answer(uri="notes/other.txt"), answer(text="“Kettles.” [1]")])
def test_an_answer_from_elsewhere_or_of_something_else_does_not(given):
    with pytest.raises(DemoError):
        check_answered(QUESTION, given)


def test_a_passage_must_hold_the_quote_at_its_offsets():
    passage = {"text": f"Kettles. {SENTENCE}", "char_start": 0}
    citation = answer()["citations"][0]

    check_opens(passage, citation)
    with pytest.raises(DemoError, match="does not open"):
        check_opens({**passage, "char_start": 1}, citation)


def test_only_saying_so_counts_as_not_knowing():
    check_refused(NOTHING)
    with pytest.raises(DemoError, match="was answered"):
        check_refused(answer())


def test_just_before_its_delete_the_document_must_be_answered_from():
    check_answered_from(answer(), CHOSEN)
    for given in (NOTHING, answer(document="d2"), answer(quote="Kettles.")):
        with pytest.raises(DemoError, match="not answered from before"):
            check_answered_from(given, CHOSEN)


@pytest.mark.parametrize("given", [answer(), answer(text="Another.", quote="Kettles."), answer(document="d2")])
def test_a_deleted_document_that_is_cited_or_quoted_fails_the_act(given):
    with pytest.raises(DemoError, match="a deleted document was answered from"):
        check_not_answered_from(given, CHOSEN)


def test_after_the_delete_other_documents_may_be_answered_from():
    check_not_answered_from(NOTHING, CHOSEN)
    check_not_answered_from(answer(text="“Another.” [1]", document="d2", quote="Another."), CHOSEN)


def test_the_edit_must_be_answered_from_in_its_own_words():
    check_answered_from_edit(answer(text=f"“{REVISED.sentence}” [1]"), REVISED)
    for given in (NOTHING, answer(), answer(text=REVISED.sentence, document="d2")):
        with pytest.raises(DemoError, match="not answered from"):
            check_answered_from_edit(given, REVISED)


def test_a_failed_assertion_ends_the_demo_with_exit_code_1(command, monkeypatch):
    def fail(*_: object) -> None:
        raise DemoError("an act does not hold", got="this", wanted="that")

    monkeypatch.setattr("orchestration.demo.play.play", fail)

    told = command("demo")

    assert told.code == EXIT_FAILED == exit_code(DemoError("any"))
    assert told.err.endswith("error: an act does not hold\n  got: this\n  wanted: that\n")


def test_a_home_that_no_demo_made_is_not_emptied(command, home):
    (home / "conf.yaml").write_text("{}")

    told = command("demo")

    assert told.code == 2
    assert (home / "conf.yaml").exists()
