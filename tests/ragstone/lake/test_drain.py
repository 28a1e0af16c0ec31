"""Streams into tables: each entry once, whatever is killed and whoever else drains."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from deltalake.exceptions import CommitFailedError

from ragstone.contracts.names import FEEDBACK_STREAM, RETRIEVAL_STREAM
from ragstone.contracts.records import StepResult
from ragstone.contracts.stream_entries import to_entry
from ragstone.contracts.tables import FEEDBACK, RETRIEVALS
from ragstone.lake import delta, quarantine, read
from ragstone.lake import drain as draining
from ragstone.lake.delta import ensure_table, table_version
from ragstone.lake.drain import Drained, drain
from ragstone.lake.ops import recorded_run
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.redis_stream import EntryId, RedisStream
from ragstone.runtime.settings import Settings
from tests.factories import make_feedback_row, make_retrieval_row

FOREVER_S = 10**9


class Killed(BaseException):
    """What no code expects: the process is gone."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    from ragstone.runtime.redis_server import stop_redis
    from ragstone.runtime.settings import load_settings

    settings = load_settings(home=tmp_path_factory.mktemp("redis-home"))
    yield settings
    stop_redis(settings)


@pytest.fixture
def client(server: Settings) -> Iterator[redis.Redis]:
    with online_client(server) as client:
        client.flushall()
        yield client


@pytest.fixture
def stream(client: redis.Redis) -> RedisStream:
    return RedisStream(client, RETRIEVAL_STREAM)


def ask(client: Any, *names: str, **changes: Any) -> list[str]:
    return [
        client.xadd(RETRIEVAL_STREAM, to_entry(RETRIEVALS, make_retrieval_row(name, **changes))).decode()
        for name in names
    ]


def rows(root: Path) -> list[str]:
    found = read.query(root, "SELECT answer_id FROM events", events=RETRIEVALS)["answer_id"].to_pylist()
    return sorted(found)


def test_every_entry_becomes_the_row_it_was_written_as(home: Path, client: redis.Redis, stream: RedisStream) -> None:
    row = make_retrieval_row("a", question="«Wo?»\n", principal_groups=["b", "a"], abstained=True)
    client.xadd(RETRIEVAL_STREAM, to_entry(RETRIEVALS, row))  # type: ignore[arg-type]

    assert drain(home, RETRIEVALS, stream, "run-1", FOREVER_S) == Drained(rows=1)
    assert read.query(home, "SELECT * FROM events", events=RETRIEVALS).to_pylist() == [row]


def test_only_what_came_since_is_taken(home: Path, client: redis.Redis, stream: RedisStream) -> None:
    ask(client, "a", "b")
    drain(home, RETRIEVALS, stream, "run-1", FOREVER_S)
    ask(client, "c")

    assert drain(home, RETRIEVALS, stream, "run-2", FOREVER_S) == Drained(rows=1)
    assert rows(home) == ["a", "b", "c"]


def test_with_nothing_new_nothing_is_written(home: Path, client: redis.Redis, stream: RedisStream) -> None:
    assert drain(home, RETRIEVALS, stream, "run-1", FOREVER_S) == Drained()
    assert (client.keys(), table_version(home, RETRIEVALS)) == ([], -1)
    ask(client, "a")
    drain(home, RETRIEVALS, stream, "run-2", FOREVER_S)
    version = table_version(home, RETRIEVALS)

    assert drain(home, RETRIEVALS, stream, "run-3", FOREVER_S) == Drained()
    assert table_version(home, RETRIEVALS) == version


def test_a_long_stream_is_taken_in_parts(
    home: Path, client: redis.Redis, stream: RedisStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "_BATCH", 3)
    names = [f"{number:02}" for number in range(10)]
    ask(client, *names)

    assert drain(home, RETRIEVALS, stream, "run-1", FOREVER_S) == Drained(rows=10)
    assert rows(home) == names


# Every call of a drain that reaches out of the process, by what it is an attribute of.
CALLS = (
    (RedisStream, "newest"),
    (RedisStream, "identity"),
    (draining, "transaction_version"),
    (RedisStream, "entries"),
    (draining, "set_aside"),
    (draining, "ensure_table"),
    (draining, "commit_rows"),
    (RedisStream, "drop"),
)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("turn", [1, 2])
@pytest.mark.parametrize(("owner", "name"), CALLS, ids=[name for _, name in CALLS])
def test_killed_before_or_after_any_call_nothing_is_lost_or_repeated(
    home: Path,
    client: redis.Redis,
    stream: RedisStream,
    monkeypatch: pytest.MonkeyPatch,
    owner: Any,
    name: str,
    turn: int,
    after: bool,
) -> None:
    monkeypatch.setattr(draining, "_BATCH", 2)
    ask(client, "a", "b", "c", "d")
    client.xadd(RETRIEVAL_STREAM, {"no": "event"})
    original, calls = getattr(owner, name), []

    def dying(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == turn and not after:
            raise Killed
        done = original(*arguments, **named)
        if len(calls) == turn:
            raise Killed
        return done

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, dying)
        try:
            drain(home, RETRIEVALS, stream, "run-1", keep_s=-1)
        except Killed:
            pass
        else:
            assert len(calls) < turn, "it was not killed"
    left = [fields[b"answer_id"].decode() for _, fields in client.xrange(RETRIEVAL_STREAM) if b"answer_id" in fields]
    assert set(rows(home)) | set(left) == {"a", "b", "c", "d"}
    drain(home, RETRIEVALS, stream, "run-2", keep_s=-1)

    assert rows(home) == ["a", "b", "c", "d"]
    assert len(quarantine.entries(home)) == 1
    assert client.xlen(RETRIEVAL_STREAM) == 0


def test_two_drains_at_once_take_each_entry_once(settings: Settings, client: redis.Redis, stream: RedisStream) -> None:
    names = [f"{number:03}" for number in range(60)]
    ask(client, *names[:30])
    begin = threading.Barrier(3)

    def step(given: Settings, run_id: str) -> StepResult:
        done = drain(given.lake_root, RETRIEVALS, stream, run_id, FOREVER_S)
        return StepResult("drain", "ok", "events", accepted=done.rows)

    def run(run_id: str) -> None:
        begin.wait()
        for _ in range(3):
            recorded_run("drain", step, settings, run_id)

    with ThreadPoolExecutor() as pool:
        running = [pool.submit(run, f"run-{number}") for number in range(2)]
        begin.wait()
        ask(client, *names[30:])
        for each in running:
            each.result()
    drain(settings.lake_root, RETRIEVALS, stream, "run-3", FOREVER_S)

    assert rows(settings.lake_root) == names


def test_of_two_drains_that_hold_no_lock_the_table_takes_one(
    home: Path, client: redis.Redis, stream: RedisStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(client, "a")
    ensure_table(home, RETRIEVALS)
    both_have_written, write = threading.Barrier(2), delta._written_file

    def write_and_wait(*arguments: Any) -> Any:
        action = write(*arguments)
        both_have_written.wait()
        return action

    monkeypatch.setattr(delta, "_written_file", write_and_wait)
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(drain, home, RETRIEVALS, stream, f"run-{n}", FOREVER_S) for n in range(2)]
        refused = [each.exception() for each in running]

    assert sum(isinstance(error, CommitFailedError) for error in refused) == 1
    assert rows(home) == ["a"]


def test_the_stream_loses_only_what_is_committed_and_old(home: Path, client: redis.Redis, stream: RedisStream) -> None:
    for milliseconds in (1, 2):
        client.xadd(
            RETRIEVAL_STREAM, to_entry(RETRIEVALS, make_retrieval_row(str(milliseconds))), id=f"{milliseconds}-0"
        )  # type: ignore[arg-type]
    [young] = ask(client, "young")

    assert drain(home, RETRIEVALS, stream, "run-1", keep_s=60) == Drained(rows=3, dropped=2)
    assert [name.decode() for name, _ in client.xrange(RETRIEVAL_STREAM)] == [young]
    ask(client, "later")
    assert stream.drop(EntryId.parsed(young), older_than_s=-1) == 1
    assert client.xlen(RETRIEVAL_STREAM) == 1


def test_a_redis_that_lost_its_data_and_has_a_slower_clock_loses_no_event(
    home: Path, client: redis.Redis, stream: RedisStream
) -> None:
    ask(client, "a")
    drain(home, RETRIEVALS, stream, "run-1", FOREVER_S)
    client.flushall()
    client.xadd(RETRIEVAL_STREAM, to_entry(RETRIEVALS, make_retrieval_row("b")), id="5-0")  # type: ignore[arg-type]

    assert drain(home, RETRIEVALS, stream, "run-2", FOREVER_S).rows == 1
    assert rows(home) == ["a", "b"]


def test_entries_of_a_restored_redis_that_are_rows_already_are_passed_over(
    home: Path, client: redis.Redis, stream: RedisStream
) -> None:
    ask(client, "a", "b")
    drain(home, RETRIEVALS, stream, "run-1", FOREVER_S)
    client.delete(f"{RETRIEVAL_STREAM}:identity")
    ask(client, "c")

    assert drain(home, RETRIEVALS, stream, "run-2", FOREVER_S) == Drained(rows=1, known=2)
    assert rows(home) == ["a", "b", "c"]


@pytest.mark.parametrize("change", [{"score": "1.5"}, {"score": '"up"'}, {"answer_id": None}, {"new": "field"}])
def test_an_entry_that_is_no_row_is_set_aside_once_and_its_neighbours_go_on(
    home: Path, client: redis.Redis, change: dict[str, Any]
) -> None:
    good = to_entry(FEEDBACK, make_feedback_row())
    bad = {name: text for name, text in {**good, "feedback_id": "bad", **change}.items() if text is not None}
    for entry in (bad, good):
        client.xadd(FEEDBACK_STREAM, entry)  # type: ignore[arg-type]

    assert drain(home, FEEDBACK, RedisStream(client, FEEDBACK_STREAM), "run-1", FOREVER_S) == Drained(
        rows=1, rejected=1
    )
    [entry] = quarantine.open_entries(home).to_pylist()
    assert (entry["step"], entry["dataset"]) == ("drain", "events.feedback")
    assert "got" in entry["reason"]
    assert "wanted" in entry["reason"]


def test_ids_keep_their_order_as_positions() -> None:
    ids = [EntryId(0, 1), EntryId(5, 0), EntryId(5, 7), EntryId(1_800_000_000_000, 0), EntryId(2**43 - 1, 2**20 - 1)]

    assert [EntryId.at_position(each.position) for each in ids] == ids
    assert sorted(each.position for each in ids) == [each.position for each in ids]
    assert ids[-1].position < 2**63
    with pytest.raises(OverflowError):
        _ = EntryId(5, 2**20).position


def test_times_are_kept_to_the_microsecond(home: Path, client: redis.Redis, stream: RedisStream) -> None:
    moment = make_retrieval_row()["event_timestamp"] + timedelta(microseconds=1)
    ask(client, "a", event_timestamp=moment)
    drain(home, RETRIEVALS, stream, "run-1", FOREVER_S)

    found: datetime = read.query(home, "SELECT * FROM e", e=RETRIEVALS)["event_timestamp"][0].as_py()
    assert found == moment
