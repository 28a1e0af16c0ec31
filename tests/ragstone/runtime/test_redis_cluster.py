"""Why the address of a cluster is refused: three servers of the test's own do not take what the service writes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import CrossSlotTransactionError

from ragstone.contracts.names import RETRIEVAL_STREAM
from ragstone.contracts.records import Principal
from serving.sessions.store import SessionStore, Turn
from tests.servers import redis as servers

_SLOTS = 16_384


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[RedisCluster]:
    program, ports = servers.plain_program(), [servers.free_port() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for port in ports:
            # The bus of a cluster is 10,000 above its port unless told; free ports are often above 55,535.
            conf = f"port {port}\ncluster-enabled yes\ncluster-port {servers.free_port()}\n"
            stack.enter_context(servers.server(program, tmp_path / str(port), conf))
        nodes = [redis.Redis("127.0.0.1", port) for port in ports]
        for place, node in enumerate(nodes):
            servers.wait_until_up(node)
            share = (place * _SLOTS // 3, (place + 1) * _SLOTS // 3 - 1)
            node.execute_command("CLUSTER ADDSLOTSRANGE", *share)
        for other in nodes[1:]:
            bus = _config(other, "cluster-port")
            nodes[0].execute_command("CLUSTER MEET", "127.0.0.1", _config(other, "port"), bus)
        for node in nodes:
            servers.wait_until(partial(_is_ok, node))
        yield RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port) for port in ports])


@pytest.mark.full
def test_a_cluster_does_not_take_a_conversation_and_its_event_in_one_transaction(cluster: RedisCluster) -> None:
    turn = Turn(1, "question", "answer", "id", datetime.now(UTC))
    client: Any = cluster
    with client.pipeline(transaction=True) as commands:
        SessionStore(client, ttl_s=60, keep_turns=3).append(commands, Principal("me", ()), "session", turn)
        commands.xadd(RETRIEVAL_STREAM, {"answer_id": "id"})
        with pytest.raises(CrossSlotTransactionError):
            commands.execute()

    # The client's error is none of the kind that stands for an unavailable server everywhere else.
    assert not issubclass(CrossSlotTransactionError, redis.RedisError)


def _config(node: redis.Redis, name: str) -> str:
    told = node.config_get(name)
    assert isinstance(told, dict)
    return str(told[name])


def _is_ok(node: redis.Redis) -> bool:
    told: dict[str, str] = node.execute_command("CLUSTER INFO")
    return told["cluster_state"] == "ok"
