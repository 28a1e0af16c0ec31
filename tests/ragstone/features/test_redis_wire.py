from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from ragstone.features.redis_wire import hset_commands, send
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import Settings


@pytest.fixture
def client(served: Settings) -> Iterator[redis.Redis]:
    with online_client(served) as found:
        yield found


def test_fields_and_values_of_any_bytes_arrive_as_they_are(client: redis.Redis) -> None:
    keys, fields = [b"a%d", b"\r\n$"], [b"%b", b"", b"plain"]
    columns = [[b"", b"%s%%"], [b"x\r\n", b"\0"], [b"1", b"y" * 100_000]]
    send(client, hset_commands(keys, fields, columns))

    assert client.hgetall("a%d") == {b"%b": b"", b"": b"x\r\n", b"plain": b"1"}
    assert client.hgetall("\r\n$") == {b"%b": b"%s%%", b"": b"\0", b"plain": b"y" * 100_000}


def test_nothing_to_send_is_nothing_written(client: redis.Redis) -> None:
    send(client, hset_commands([], [b"field"], [[]]))

    assert client.dbsize() == 0


def test_columns_of_another_length_than_the_keys_are_refused(client: redis.Redis) -> None:
    with pytest.raises(ValueError, match="zip"):
        send(client, hset_commands([b"a", b"b"], [b"field"], [[b"1"]]))


def test_an_error_is_raised_and_leaves_no_reply_for_the_next_command(client: redis.Redis) -> None:
    client.set("b", "no hash")
    commands: Any = hset_commands([b"a", b"b", b"c"], [b"field"], [[b"1", b"2", b"3"]])
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        send(client, commands)

    assert client.get("b") == b"no hash"
