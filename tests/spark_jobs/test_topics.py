"""Topics of a real broker, through Spark, into the landing zone and bronze. Each job is a process of its own.

In this process the JVM may have been started for a home without a topic, and so without Kafka's jars.
"""

import json
import signal
import subprocess
import sys
import time

import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import BRONZE_DOCUMENTS, DOCUMENT_ACCESS, RUNS
from ragstone.lake import quarantine, read
from ragstone.lake.documents import bronze_state
from ragstone.lake.landing import LandingZone
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import load_settings
from tests.kafka_broker import kafka_broker
from tests.spark_jobs.killed_stream import POINTS

pytestmark = pytest.mark.spark
PATIENCE_S = 120
SAMPLED = "after landing"


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with kafka_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def settings(home, broker, request):
    topic = broker.make_topic(f"notes-{abs(hash(request.node.name))}")
    records = {"id": "id", "text": ["body"], "metadata": ["lang"]}
    source = {"kind": "kafka", "servers": broker.server, "topic": topic, "records": records, "interval_s": 0.2}
    # JSON is YAML.
    (home / "conf.yaml").write_text(json.dumps({"sources": {"notes": source}}))
    settings = load_settings(home=home)
    yield settings
    stop_redis(settings)


def topic_of(settings):
    return settings.sources["notes"].topic


def note(key, body, **more):
    return key, {"id": key, "body": body, **more}


def change_source(settings, **changes):
    path = settings.home / "conf.yaml"
    told = json.loads(path.read_text())["sources"]["notes"]
    path.write_text(json.dumps({"sources": {"notes": {**told, **changes}}}))


def ingest(settings, *arguments):
    command = [sys.executable, "-m", *(arguments or ("spark_jobs.ingest_documents", "--home", str(settings.home)))]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def in_bronze(settings):
    columns = "source_uri, change, landing_batch, source_version"
    rows = read.query(
        settings.lake_root, f"SELECT {columns} FROM b ORDER BY landing_batch, source_uri", b=BRONZE_DOCUMENTS
    )
    return [tuple(row.values()) for row in rows.to_pylist()]


def bodies(settings):
    landing = LandingZone(settings.landing_root)
    living = [envelope for envelope in bronze_state(settings).values() if envelope.landing_uri]
    return {each.source_uri: json.loads(landing.read_object(each.landing_uri))["text"] for each in living}


def set_aside(settings):
    entries = quarantine.open_entries(settings.lake_root).to_pylist()
    return {entry["item_key"]: entry["payload_pointer"] for entry in entries}


def wait_for(condition, process):
    """Wait until something holds, as long as the process that is to bring it about lives."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


def test_a_followed_topic_reaches_bronze_and_a_signal_ends_it_cleanly(settings, broker, home):
    topic = topic_of(settings)
    headers = [("ignored", b"x")]
    broker.send(topic, note("a", "A"), note("b", "B", lang="de"), note("a", "A, later"), headers=headers)
    broker.send(topic, ("c", b"{broken"), (None, b"{}"), note("d", "D"), partition=1)
    command = [sys.executable, "-m", "orchestration.cli", "--home", str(home), "ingest", "--follow"]
    following = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: len(in_bronze(settings)) >= 3, following)
        assert bodies(settings) == {"a": "A, later", "b": "B", "d": "D"}
        assert set_aside(settings) == {"c": f"{topic}[1]@0", "1:1": f"{topic}[1]@1"}
        newest = bronze_state(settings)[document_id("notes", "b")]
        assert (newest.source_version, newest.source_metadata) == ("0:1", {"lang": "de"})

        broker.send(topic, ("b", None), note("a", "A, later"))
        broker.send(topic, note("c", "C, mended"), partition=1)
        wait_for(lambda: len(in_bronze(settings)) >= 5, following)
        assert set_aside(settings) == {"1:1": f"{topic}[1]@1"}
        assert [row["active"] for row in read.newest_rows(settings.lake_root, DOCUMENT_ACCESS).to_pylist()] == [False]

        beside = ingest(settings)
        assert (beside.returncode, "topic is followed by another process" in beside.stderr) == (0, True), beside.stderr

        following.send_signal(signal.SIGTERM)
        out, said = following.communicate(timeout=PATIENCE_S)
    finally:
        following.kill()
    assert following.returncode == 0, said
    assert "Traceback" not in out + said
    assert bodies(settings) == {"a": "A, later", "c": "C, mended", "d": "D"}
    assert sum(uri == "a" for uri, *_ in in_bronze(settings)) == 1
    runs = read.query(settings.lake_root, "SELECT step, status FROM r", r=RUNS).to_pylist()
    assert {(run["step"], run["status"]) for run in runs} <= {("ingest", "ok"), ("ingest", "unchanged")}
    assert len(runs) >= 2


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=[] if point == SAMPLED else pytest.mark.full) for point in POINTS]
)
def test_a_kill_loses_nothing_and_brings_nothing_twice(settings, broker, point):
    topic = topic_of(settings)
    broker.send(topic, note("a", "A"), note("b", "B"), ("c", b"{broken"), ("never there", None))

    killed = ingest(settings, "tests.spark_jobs.killed_stream", str(settings.home), point)
    assert killed.returncode == -signal.SIGKILL
    # Neither what comes between the kill and the rerun nor other settings change what the batch was.
    change_source(settings, metadata={"team": "docs"})
    broker.send(topic, note("a", "A, later"), note("e", "E"), partition=0)
    rerun = ingest(settings)

    assert rerun.returncode == 0, rerun.stderr
    assert bodies(settings) == {"a": "A, later", "b": "B", "e": "E"}
    assert in_bronze(settings) == [
        ("a", "fetched", 1, "0:0"),
        ("b", "fetched", 1, "0:1"),
        ("a", "fetched", 2, "0:4"),
        ("e", "fetched", 2, "0:5"),
    ]
    assert set_aside(settings) == {"c": f"{topic}[0]@2"}
    landed = LandingZone(settings.landing_root).read_batches()
    assert [batch.origin.rpartition(":")[2] for batch in landed] == ["0", "1"]


@pytest.mark.full
def test_a_rerun_without_messages_changes_nothing_and_a_lost_checkpoint_lands_nothing_again(settings, broker):
    broker.send(topic_of(settings), note("a", "A"), note("b", "B"))
    first = ingest(settings)
    before = in_bronze(settings)
    again = ingest(settings)
    (settings.home / "streams" / "notes").rename(settings.home / "lost")
    anew = ingest(settings)

    assert [run.returncode for run in (first, again, anew)] == [0, 0, 0]
    assert "WARN" not in first.stderr
    assert in_bronze(settings) == before


@pytest.mark.full
def test_batches_are_as_large_as_asked_for_and_a_missing_topic_is_named(settings, broker):
    change_source(settings, max_messages_per_batch=2)
    broker.send(topic_of(settings), *(note(f"n{number}", "N") for number in range(5)))
    assert ingest(settings).returncode == 0
    assert [row[2] for row in in_bronze(settings)] == [1, 1, 2, 2, 3]

    change_source(settings, topic="nowhere")
    (settings.home / "streams" / "notes").rename(settings.home / "lost")
    refused = ingest(settings)
    assert (refused.returncode, "there is no such topic" in refused.stderr) == (2, True), refused.stderr


@pytest.mark.full
def test_messages_that_are_gone_before_they_were_read_are_told_not_passed_over(settings, broker):
    topic = topic_of(settings)
    broker.send(topic, note("a", "A"))
    assert ingest(settings).returncode == 0
    broker.send(topic, *(note(f"n{number}", "N") for number in range(4)))
    broker.forget(topic, before_offset=3)

    refused = ingest(settings)
    assert refused.returncode == 2, refused.stderr
    assert "messages were removed from the topic before they were read" in refused.stderr

    (settings.home / "streams" / "notes").rename(settings.home / "lost")
    assert ingest(settings).returncode == 0
    assert bodies(settings).keys() == {"a", "n2", "n3"}


def test_a_broker_that_is_not_there_is_told_within_seconds(home):
    source = {"kind": "kafka", "servers": "127.0.0.1:1", "topic": "notes"}
    (home / "conf.yaml").write_text(json.dumps({"sources": {"notes": source}}))

    refused = ingest(load_settings(home=home))

    assert refused.returncode == 4
    assert "no Kafka server answers" in refused.stderr
    assert "next: start the broker" in refused.stderr
    assert not (home / "spark").exists()
