import pytest

from ragstone.contracts.records import Principal
from ragstone.runtime.redis_server import online_client
from serving.sessions.store import SessionStore, Turn
from tests.factories import DAY_ZERO

ANN, BOB = Principal("ann", frozenset()), Principal("bob", frozenset())


@pytest.fixture
def client(world):
    with online_client(world) as client:
        yield client


@pytest.fixture
def store(client):
    return SessionStore(client, ttl_s=60, keep_turns=3)


def say(client, store, principal, session_id, number):
    turn = Turn(number, f"question {number}", "answer", "0" * 32, DAY_ZERO)
    with client.pipeline() as commands:
        store.append(commands, principal, session_id, turn)
        commands.execute()
    return turn


def test_turns_come_back_as_they_were_oldest_first(client, store):
    said = tuple(say(client, store, ANN, "in-order", number) for number in (1, 2))

    assert store.turns(ANN, "in-order") == said


def test_only_the_last_turns_are_kept(client, store):
    for number in range(1, 6):
        say(client, store, ANN, "long", number)

    assert [turn.number for turn in store.turns(ANN, "long")] == [3, 4, 5]


def test_a_conversation_is_nobody_elses(client, store):
    say(client, store, ANN, "private", 1)

    assert store.turns(BOB, "private") == ()


def test_a_conversation_expires_some_time_after_its_last_turn(client, store):
    before = set(client.keys("ragstone:session:*"))
    say(client, store, ANN, "fleeting", 1)
    [key] = set(client.keys("ragstone:session:*")) - before
    client.expire(key, 5)

    say(client, store, ANN, "fleeting", 2)

    assert 5 < client.ttl(key) <= 60
