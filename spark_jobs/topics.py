"""Kafka topics through Spark Structured Streaming into the landing zone, exactly once.

A topic's checkpoint, below `<home>/streams/<source>`, says which messages were taken. A batch of messages becomes one
landing batch whose origin names the query and the number of the batch. Spark gives a batch that was landed but not
checkpointed again, with the same number and the same messages: it is known by its origin and not landed twice.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.streaming.query import StreamingQuery
from pyspark.sql.streaming.readwriter import DataStreamWriter

from ragstone.contracts.records import Envelope
from ragstone.lake import quarantine
from ragstone.lake.documents import bronze_state
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import ConfigError, DependencyUnavailableError, RagstoneError
from ragstone.runtime.file_lock import exclusive_or_not
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings, read_secret
from ragstone.runtime.source_settings import KafkaSource
from spark_jobs.session import open_session
from spark_jobs.sources.messages import Message, MessageBatch, read_messages
from spark_jobs.sources.scan import SourceScan, scan_source

_CONNECT_TIMEOUT_S: Final = 5
_log = get_logger(__name__)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Topic:
    """One topic of a home.

    `failure` is what stopped its query, when that was an error of ours; `quarantine_rows` counts rows written there.
    """

    name: str
    source: KafkaSource
    settings: Settings
    failure: RagstoneError | None = None
    quarantine_rows: int = 0
    _may_repeat: bool = True

    @property
    def checkpoint(self) -> Path:
        """Return the folder of the query's checkpoint."""
        return self.settings.home / "streams" / quote(self.name, safe="")

    def turn(self) -> AbstractContextManager[bool]:
        """Hold the checkpoint for the length of a block, and tell whether it is held: two queries would break it."""
        return exclusive_or_not(self.checkpoint.with_name(f"{self.checkpoint.name}.lock"))

    def take(self, frame: DataFrame, batch_number: int, run_id: str) -> SourceScan:
        """Land one batch of messages, set its bad ones aside, and return what it held. Taking it again adds nothing."""
        landing = LandingZone(self.settings.landing_root)
        seen_batch = landing.last_batch()
        batch = read_messages(self.name, self.source, self.settings.ingest, _messages(self.source.topic, frame))
        known = {key: value for key, value in bronze_state(self.settings).items() if value.source == self.name}
        scan = scan_source(batch, known, landing)
        origin = f"{self.name}:{self._query_id()}:{batch_number}"
        scan.envelopes = self._land(landing, scan.envelopes, run_id, seen_batch, origin)
        scan.rejections += batch.rejections
        scan.items += batch.superseded + len(batch.rejections)
        scan.unchanged += batch.superseded
        self._quarantine(batch, scan, run_id)
        return scan

    def _land(
        self, landing: LandingZone, envelopes: list[Envelope], run_id: str, seen_batch: int, origin: str
    ) -> list[Envelope]:
        # Only the first batch after a start can be one that was landed, and looking for it reads the whole log.
        repeated = self._may_repeat and landing.holds_origin(origin)
        self._may_repeat = False
        return [] if repeated else landing.append_untouched(envelopes, run_id, seen_batch, origin)

    def _quarantine(self, batch: MessageBatch, scan: SourceScan, run_id: str) -> None:
        """Record bad messages, and close the entries of documents that a good message came for."""
        root = self.settings.lake_root
        still_rejected = {quarantine.entry_id(rejection) for rejection in scan.rejections}
        mended = [
            entry["entry_id"]
            for entry in quarantine.open_entries(root, "ingest").to_pylist()
            if entry["dataset"] == self.name
            and entry["item_key"] in batch.uris
            and entry["entry_id"] not in still_rejected
        ]
        self.quarantine_rows += quarantine.set_aside(root, scan.rejections, run_id)
        self.quarantine_rows += quarantine.resolve(root, mended, run_id)

    def _query_id(self) -> str:
        return str(json.loads((self.checkpoint / "metadata").read_text("utf-8"))["id"])

    def start(self, spark: SparkSession, take: Callable[[DataFrame, int], None], **trigger: Any) -> StreamingQuery:
        """Start the topic's query; `take` gets each batch of messages and its number."""
        self._may_repeat = True
        return self._writer(spark).foreachBatch(self._guarded(take)).trigger(**trigger).start()

    def _writer(self, spark: SparkSession) -> DataStreamWriter:
        source = self.source
        secrets = {name: read_secret(secret).get_secret_value() for name, secret in source.secret_options.items()}
        return (
            spark.readStream.format("kafka")
            .option("kafka.bootstrap.servers", source.servers)
            .option("subscribe", source.topic)
            .option("startingOffsets", source.starting)
            .option("maxOffsetsPerTrigger", source.max_messages_per_batch)
            .option("includeHeaders", "true")
            .options(**{f"kafka.{name}": value for name, value in {**source.options, **secrets}.items()})
            .load()
            .writeStream.queryName(f"ragstone {self.name}")
            .option("checkpointLocation", str(self.checkpoint))
        )

    def _guarded(self, take: Callable[[DataFrame, int], None]) -> Callable[[DataFrame, int], None]:
        def guarded(frame: DataFrame, batch_number: int) -> None:
            try:
                take(frame, batch_number)
            except RagstoneError as error:
                # Through the JVM only its text would come back.
                self.failure = error
                raise

        return guarded


def topics_of(settings: Settings) -> list[Topic]:
    """Return the topics that are sources of this home. Raises DependencyUnavailableError when one has no server.

    Asked before a JVM is started, and because Spark would only give up after minutes.
    """
    topics = [
        Topic(name, source, settings) for name, source in settings.sources.items() if isinstance(source, KafkaSource)
    ]
    for topic in topics:
        _check_reachable(topic)
    return topics


def take_available(topic: Topic, run_id: str) -> SourceScan:
    """Land every message that is there now, in as many batches as the settings ask for, and return what they held.

    A topic that another process follows is left to it. Raises DependencyUnavailableError when the topic cannot be read,
    ConfigError when it cannot as configured.
    """
    total = SourceScan(topic.name)

    def take(frame: DataFrame, batch_number: int) -> None:
        total.merge(topic.take(frame, batch_number, run_id))

    with topic.turn() as ours:
        if ours:
            wait(topic, topic.start(open_session(topic.settings), take, availableNow=True))
        else:
            _log.info("topic is followed by another process", source=topic.name)
    return total


def wait(topic: Topic, query: StreamingQuery) -> None:
    """Wait until a query has ended, and raise what ended it, as an error of ours."""
    try:
        query.awaitTermination()
    except StreamingQueryException as ended:
        raise topic.failure or _told(topic, ended) from ended


def _told(topic: Topic, ended: StreamingQueryException) -> RagstoneError:
    reason = str(ended)
    facts: dict[str, Any] = {"where": f"source {topic.name}, {topic.source.place}"}
    if "UnknownTopicOrPartition" in reason:
        return ConfigError("there is no such topic", got=topic.source.topic, wanted="a topic of this broker", **facts)
    if "failOnDataLoss" in reason:
        return ConfigError(
            "messages were removed from the topic before they were read",
            got=reason.splitlines()[0],
            wanted=f"every message since {topic.checkpoint}",
            next_step=f"to go on with what is left: rm -r {topic.checkpoint}, then ragstone ingest",
            **facts,
        )
    return DependencyUnavailableError(
        "the topic cannot be read", got=reason.splitlines()[0], wanted="an answer from Kafka", **facts
    )


def _check_reachable(topic: Topic) -> None:
    """Ask the servers for a connection until one gives it. Raises DependencyUnavailableError."""
    failures = []
    for server in topic.source.servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), _CONNECT_TIMEOUT_S).close()
        except (OSError, ValueError) as failed:
            failures.append(f"{server.strip()}: {failed}")
        else:
            return
    raise DependencyUnavailableError(
        "no Kafka server answers",
        where=f"source {topic.name}",
        got="; ".join(failures),
        wanted="a connection to one of `servers`",
        next_step="start the broker, or correct the source's `servers`",
    )


def _messages(topic: str, frame: DataFrame) -> Iterator[Message]:
    """Yield the messages of a batch, partition by partition, so that one at a time is in this process."""
    columns = ("key", "value", "partition", "offset", "headers")
    # As a number: a timestamp would come back in local time.
    for row in frame.select(*columns, sql.unix_millis("timestamp").alias("sent_ms")).toLocalIterator():
        yield Message(
            topic=topic,
            partition=row["partition"],
            offset=row["offset"],
            sent_at=_EPOCH + timedelta(milliseconds=row["sent_ms"]),
            key=None if row["key"] is None else bytes(row["key"]),
            value=None if row["value"] is None else bytes(row["value"]),
            headers=tuple(
                (header["key"], None if header["value"] is None else bytes(header["value"]))
                for header in row["headers"] or ()
            ),
        )
