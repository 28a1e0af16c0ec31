from dataclasses import fields, replace

import pytest

from ragstone.contracts.tables import RETRIEVALS
from ragstone.runtime.redis_server import online_client
from serving.events import RetrievalEvent, RetrievalLog
from tests.factories import at

EVENT = RetrievalEvent(
    answer_id="a" * 32,
    session_id="s",
    principal="ann",
    principal_groups=("public", "staff"),
    question="Wo? \u2013 «hier»",
    answer="Here.",
    abstained=False,
    citations="[]",
    hits="[]",
    index_version="v1",
    online_watermark="{}",
    prompt_hash="p",
    settings_hash="s",
    encoder_hash="e",
    served_state=None,
    event_timestamp=at(1),
    created_timestamp=at(2),
)


@pytest.fixture
def client(world):
    with online_client(world) as client:
        yield client


def write(client, log, event):
    with client.pipeline() as commands:
        log.append(commands, event)
        commands.execute()


def test_an_event_has_the_columns_of_its_table_in_order():
    assert tuple(field.name for field in fields(RetrievalEvent)) == RETRIEVALS.column_names


@pytest.mark.parametrize("abstained", [True, False])
def test_an_event_comes_back_as_it_was_written(client, abstained):
    log = RetrievalLog(client, ttl_s=60)
    event = replace(EVENT, abstained=abstained)
    write(client, log, event)

    assert log.find(event.answer_id) == event


def test_an_answer_that_was_never_given_is_not_found(client):
    assert RetrievalLog(client, ttl_s=60).find("b" * 32) is None


def test_an_answer_can_be_found_for_its_time_to_live(client):
    write(client, RetrievalLog(client, ttl_s=60), EVENT)

    assert 0 < client.ttl(f"ragstone:answer:{EVENT.answer_id}") <= 60


def test_an_entry_stays_until_it_is_drained_however_old(client):
    # Redis trims by whole blocks of the stream, a hundred entries each.
    client.delete("ragstone:retrievals")
    for number in range(1, 301):
        client.xadd("ragstone:retrievals", {"old": number}, id=f"{number}-0")

    write(client, RetrievalLog(client, ttl_s=60), EVENT)

    assert client.xlen("ragstone:retrievals") == 301
