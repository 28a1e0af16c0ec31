"""Answers of a past day: its corpus, its access lists, its prompt, from the lake alone."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ragstone.contracts.records import Principal
from ragstone.contracts.tables import DOCUMENT_ACCESS, PROMPTS, SILVER_CHUNKS
from ragstone.lake.purge_record import begin
from ragstone.lake.purge_tables import purge_tables
from ragstone.lake.read import query
from ragstone.runtime.errors import BadInputError
from serving.deadline import Deadline
from serving.generation.extractive import EXTRACTIVE_HASH
from serving.generation.prompt import Prompt
from serving.generation.prompt_history import prompt_of, record_in_use
from serving.past.answering import PastQuestion
from serving.services import open_services, past_answerer
from tests.factories import DAY_ZERO, at, make_access_row, make_tombstone, write_rows
from tests.serving.world import ADMIN_KEY, BEES, KILN, PAYROLL, STAFF_KEY, as_

QUESTION = "How many degrees did the kiln at Aldermoor reach?"
SECRET = "What is the payroll password hint?"
EVERYONE, STAFF = (Principal("ann", frozenset(groups)) for groups in (("public",), ("public", "staff")))
LATER = {"event_timestamp": at(60), "created_timestamp": at(60)}


def asked(settings, as_of, text=QUESTION, principal=EVERYONE):
    return asked_between(settings, as_of, text, principal)[0]


def asked_between(settings, as_of, text=QUESTION, principal=EVERYONE, change=None):
    """Return the answer of a past day, and that of the same answerer after a change."""

    async def answers():
        async with past_answerer(settings) as answerer:
            question = PastQuestion(text, principal, as_of, Deadline.after_ms(60_000))
            first = await answerer.answer(question)
            return first, None if change is None else (change(), await answerer.answer(question))[1]

    return asyncio.run(answers())


def test_a_past_day_is_answered_without_any_index_and_without_the_online_store(lake_only):
    answer = asked(lake_only, at(1))

    assert "1240 degrees" in answer.answer
    assert [citation.document_id for citation in answer.citations[:1]] == [KILN.document_id]
    assert (answer.abstained, answer.prompt_hash) == (False, EXTRACTIVE_HASH)
    assert {path.name for path in lake_only.home.iterdir()} == {"lake"}


def test_a_day_before_anything_was_known_has_no_answer(lake_only):
    assert asked(lake_only, at(-1)).abstained


def test_a_chunk_that_has_ended_since_is_answered_from_as_of_before(lake_only):
    ended = [make_tombstone(SILVER_CHUNKS, KILN.chunk_id(), **LATER)]
    write_rows(lake_only.lake_root, SILVER_CHUNKS, ended)

    assert "1240" in asked(lake_only, at(59)).answer
    assert "1240" not in asked(lake_only, at(60)).answer


def test_the_access_lists_are_those_of_the_day_in_both_directions(lake_only):
    uris = {"granted": PAYROLL.source_uri, "revoked": KILN.source_uri}
    lists = {"granted": ["public"], "revoked": ["staff"]}
    rows = [make_access_row(uri, acl=lists[change], **LATER) for change, uri in uris.items()]
    write_rows(lake_only.lake_root, DOCUMENT_ACCESS, rows)

    assert asked(lake_only, at(59), SECRET).abstained
    assert "parrot" in asked(lake_only, at(59), SECRET, STAFF).answer
    assert "parrot" in asked(lake_only, at(60), SECRET).answer
    assert "1240" in asked(lake_only, at(59)).answer
    assert "1240" not in asked(lake_only, at(60)).answer


def test_a_purged_text_stays_purged_also_where_its_day_was_asked_before(lake_only):
    record = begin(KILN.document_id)
    record.chunk_ids.extend(KILN.chunk_id(paragraph) for paragraph in range(len(KILN.paragraphs)))

    before, after = asked_between(lake_only, at(1), change=lambda: purge_tables(lake_only.lake_root, record))

    assert "1240" in before.answer
    assert "1240" not in after.answer


def test_a_time_to_come_or_without_a_zone_is_refused(lake_only):
    for wrong in (datetime.now(UTC) + timedelta(hours=1), DAY_ZERO.replace(tzinfo=None)):
        with pytest.raises(BadInputError, match="no moment of the past"):
            asked(lake_only, wrong)


def test_snapshots_of_past_days_are_read_once_and_only_so_many_stay_open(lake_only, monkeypatch):
    from serving.past import indexes

    index = lake_only.index.model_copy(update={"keep_as_of": 2})
    read, keeping = [], lake_only.model_copy(update={"index": index})
    monkeypatch.setattr(indexes, "read_past", lambda _, bounds: read.append(bounds.known_by) or object())
    past = indexes.PastIndexes(keeping)
    for minute in (1, 2, 1, 3, 1, 2):
        past.snapshot(indexes.AsOf(known_by=at(minute)))
    assert read == [at(1), at(2), at(3), at(2)]


def test_the_prompt_of_a_day_is_the_one_that_was_in_use(settings):
    root, first = settings.lake_root, Prompt("Say I don't know.", "{question}")
    before = datetime.now(UTC)
    record_in_use(root, first)
    between = datetime.now(UTC)
    record_in_use(root, first)
    record_in_use(root, replace(first, rules="Be brief."))
    record_in_use(root, None)

    assert query(root, "SELECT count(*) AS n FROM t", t=PROMPTS)["n"].to_pylist() == [3]
    assert (prompt_of(root, before), prompt_of(root, between)) == (None, first)
    assert prompt_of(root, datetime.now(UTC)) is None


def test_a_service_that_starts_records_what_it_asks_with_once(own_world):
    shutil.rmtree(own_world.lake_root / PROMPTS.path, ignore_errors=True)
    for _ in range(2):
        asyncio.run(open_services(own_world).close())
    rows = query(own_world.lake_root, "SELECT prompt_hash, rules FROM t", t=PROMPTS).to_pylist()
    assert rows == [{"prompt_hash": EXTRACTIVE_HASH, "rules": None}]


def test_only_an_administrator_asks_the_service_of_a_past_day(service):
    body = {"user": QUESTION, "as_of": at(1).isoformat()}

    assert [service.post("/chat", json=body, headers=headers).status_code for headers in ({}, as_(STAFF_KEY))] == [
        403
    ] * 2
    answer = service.post("/chat", json=body, headers=as_(ADMIN_KEY)).json()
    assert "1240 degrees" in answer["answer"]
    assert (answer["as_of"], "answer_id" in answer) == (at(1).isoformat().replace("+00:00", "Z"), False)


def test_the_administrator_of_a_past_day_reads_only_what_their_groups_might(service):
    answer = service.post("/chat", json={"user": SECRET, "as_of": at(1).isoformat()}, headers=as_(ADMIN_KEY)).json()

    assert answer["abstained"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"as_of": "2026-01-01T00:00:00"},
        {"as_of": "2999-01-01T00:00:00Z"},
        {"as_of": "2026-01-02T00:00:00Z", "session_id": "s"},
    ],
)
def test_the_service_refuses_times_without_zone_times_to_come_and_conversations(service, wrong):
    refused = service.post("/chat", json={"user": QUESTION, **wrong}, headers=as_(ADMIN_KEY))

    assert refused.status_code == 422
    assert BEES.document_id not in refused.text
