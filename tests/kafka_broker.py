"""A real Kafka broker on loopback, from the jars of the group `kafka-broker`, with a producer for tests."""

from __future__ import annotations

import json
import socket
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from ragstone.runtime.jars import jar_paths
from ragstone.runtime.java import java_home
from ragstone.runtime.settings import load_settings

START_S = 60
_QUICK = ("-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={folder}/data
offsets.topic.replication.factor=1
auto.create.topics.enable=false
"""


@dataclass(frozen=True)
class Broker:
    """A running broker. `server` is its address, as a source's `servers` wants it."""

    server: str

    def make_topic(self, name: str, partitions: int = 2) -> str:
        """Make an empty topic and return its name."""
        admin = self._admin()
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(START_S)
        return name

    def send(self, topic: str, *messages: tuple[str | bytes | None, Any], partition: int = 0, **options: Any) -> None:
        """Send (key, value) messages, and return once the broker has them; a mapping is sent as JSON."""
        producer = Producer({"bootstrap.servers": self.server, "acks": "all"})
        for key, value in messages:
            content = json.dumps(value) if isinstance(value, dict) else value
            producer.produce(topic, key=key, value=content, partition=partition, **options)
        assert producer.flush(START_S) == 0, "the broker did not take the messages"

    def forget(self, topic: str, before_offset: int, partition: int = 0) -> None:
        """Remove the messages before an offset, as retention does in time."""
        admin = self._admin()
        place = TopicPartition(topic, partition, before_offset)
        admin.delete_records([place])[place].result(START_S)

    def wait_until_ready(self) -> None:
        """Return once the broker tells of itself."""
        self._admin().list_topics(timeout=START_S)

    def _admin(self) -> AdminClient:
        # Quiet, because it asks before the broker listens.
        return AdminClient({"bootstrap.servers": self.server, "log_level": 0})


@contextmanager
def kafka_broker(folder: Path) -> Iterator[Broker]:
    """Run a broker of one node, its data below `folder`, for the length of a block."""
    settings = load_settings(home=folder)
    port, controller = _free_ports(2)
    properties = folder / "server.properties"
    properties.write_text(_PROPERTIES.format(port=port, controller=controller, folder=folder))
    java = [str(java_home(settings) / "bin" / "java"), *_QUICK]
    java += ["-cp", ":".join(map(str, jar_paths(settings, "kafka-broker")))]
    identity = uuid.uuid4().hex[:22]
    form = [*java, "kafka.tools.StorageTool", "format", "--standalone", "-t", identity, "-c", str(properties)]
    with (folder / "broker.log").open("wb") as log:
        subprocess.run(form, stdout=log, stderr=log, check=True)
        process = subprocess.Popen([*java, "kafka.Kafka", str(properties)], stdout=log, stderr=log)
    try:
        broker = Broker(f"127.0.0.1:{port}")
        broker.wait_until_ready()
        yield broker
    finally:
        process.kill()
        process.wait()


def _free_ports(count: int) -> Sequence[int]:
    # All open at once, so that they differ.
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
