"""Follow: ingest once, then take what the topics bring as it comes, until told to stop.

Each batch of messages is a run of the step ingest: landed, bound where it closes documents, appended to bronze, and
recorded, before the topic's checkpoint moves on. The steps behind bronze are run beside it, as often as is wanted.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from ragstone.contracts.records import StepResult, new_run_id
from ragstone.lake.ops import recorded_run
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from spark_jobs import ingest_documents
from spark_jobs.session import close_session, open_session, session_is_open
from spark_jobs.topics import Topic, topics_of, wait

_POLL_S: Final = 0.5

_log = get_logger(__name__)


def follow(settings: Settings) -> None:
    """Ingest every source once, then follow the topics until SIGTERM or SIGINT; the batch at work is finished.

    Raises ConfigError when no source is a topic, DependencyUnavailableError when one has no server, and what ends the
    query of any.
    """
    topics = topics_of(settings)
    if not topics:
        raise ConfigError(
            "no source can be followed", where="sources", got="no topic", wanted="a source of the kind kafka"
        )
    found_open = session_is_open()
    try:
        recorded_run(ingest_documents.STEP, ingest_documents.run, settings, _new_run())
        _follow(settings, topics)
    finally:
        if not found_open:
            close_session()


class _BatchLeft(Exception):  # noqa: N818 - being told to stop is no error
    """A batch came after the signal to stop: it is left for the next start."""


@dataclass
class _Turns:
    """Batches of all topics take turns, and none begins once `closed`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    closed: bool = False

    @contextmanager
    def turn(self) -> Iterator[None]:
        with self.lock:
            if self.closed:
                raise _BatchLeft
            yield

    def close(self) -> None:
        """Wait for the batch at work, and let no other begin."""
        with self.lock:
            self.closed = True


def _follow(settings: Settings, topics: Sequence[Topic]) -> None:
    turns = _Turns()
    with _stop_signals() as stop, ExitStack() as held:
        for topic in topics:
            _hold(topic, held, stop)
        following = [] if stop.is_set() else _started(open_session(settings), topics, turns)
        while following and not stop.wait(_POLL_S) and all(query.isActive for _, query in following):
            pass
        ended = [pair for pair in following if not pair[1].isActive]
        turns.close()
        for _, query in following:
            query.stop()
    for topic, query in ended:
        wait(topic, query)
    _log.info("topics no longer followed")


def _hold(topic: Topic, held: ExitStack, stop: threading.Event) -> None:
    """Hold a topic until the stack ends. Who comes second stands by until the first has ended."""
    told = False
    while True:
        with ExitStack() as attempt:
            if attempt.enter_context(topic.turn()):
                held.push(attempt.pop_all())
                return
        if not told:
            _log.info("topic is followed by another process, standing by", source=topic.name)
        told = True
        if stop.wait(_POLL_S):
            return


def _started(spark: SparkSession, topics: Sequence[Topic], turns: _Turns) -> list[tuple[Topic, StreamingQuery]]:
    following = []
    for topic in topics:
        query = topic.start(spark, _taking(topic, turns), processingTime=f"{topic.source.interval_s} seconds")
        following.append((topic, query))
        _log.info("topic followed", source=topic.name, place=topic.source.place)
    return following


def _taking(topic: Topic, turns: _Turns) -> Callable[[DataFrame, int], None]:
    def take(frame: DataFrame, batch_number: int) -> None:
        step = partial(_step, topic, frame, batch_number)
        with turns.turn():
            recorded_run(ingest_documents.STEP, step, topic.settings, _new_run())

    return take


def _step(topic: Topic, frame: DataFrame, batch_number: int, settings: Settings, run_id: str) -> StepResult:
    """Take one batch of messages as far as bronze."""
    rows_before = topic.quarantine_rows
    scan = topic.take(frame, batch_number, run_id)
    ingest_documents.report(scan)
    ingest_documents.apply_landed_access(settings, run_id)
    written = ingest_documents.follow_landed(settings)
    set_aside = topic.quarantine_rows - rows_before
    return ingest_documents.ingest_result(settings, [scan], scan.envelopes, set_aside, written)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and SIGINT set; Spark's own handler of SIGINT would raise in the middle of a batch."""
    stop = threading.Event()

    def on_signal(*_: Any) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _new_run() -> str:
    return new_run_id(datetime.now(UTC))
