import json
from datetime import timedelta

import pytest

from ragstone.contracts.identity import document_id
from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import IngestSettings
from ragstone.runtime.source_settings import KafkaSource
from spark_jobs.sources.messages import Message, read_messages
from spark_jobs.sources.scan import scan_source
from tests.factories import DAY_ZERO

RECORDS = {"id": "id", "text": ["page.body"], "title": "page.title", "metadata": ["lang"]}


def topic(**changes):
    told = {"kind": "kafka", "servers": "127.0.0.1:9092", "topic": "notes", "records": RECORDS, "acl": ["staff"]}
    return KafkaSource(**{**told, **changes})


def message(offset, key="a", body="Body.", partition=0, minutes=0.0, headers=(), **record):
    value = None if body is None else json.dumps({"id": key, "page": {"body": body, "title": "T"}, **record}).encode()
    return Message("notes", partition, offset, DAY_ZERO + timedelta(minutes=minutes), key.encode(), value, headers)


def bad(offset, key=b"a", value=b"{nope", partition=0):
    return Message("notes", partition, offset, DAY_ZERO, key, value)


def read(*messages, ingest=None, **source):
    return read_messages("wiki", topic(**source), ingest or IngestSettings(), messages)


def bodies(batch):
    return {item.source_uri: item.content and json.loads(item.content)["text"] for item in batch.items({})}


def test_a_record_becomes_an_item_that_knows_its_place_and_time():
    batch = read(
        message(7, partition=2, minutes=3, lang="en", headers=(("trace", b"t1"), ("team", b"x"))), headers=["team"]
    )

    [item] = batch.items({})
    assert (item.source_uri, item.version, item.locator) == ("a", "2:7", "notes[2]@7")
    assert item.modified_at == DAY_ZERO + timedelta(minutes=3)
    assert item.metadata == {"team": "x", "lang": "en"}
    assert json.loads(item.content) == {"text": "Body.", "title": "T"}


def test_the_last_message_of_a_document_wins_by_offset_within_a_partition_and_by_time_between_them():
    batch = read(
        message(1, body="old", minutes=9),
        message(2, body="newer, by a clock that went back", minutes=1),
        message(5, "b", "early", minutes=1),
        message(9, "b", "late", partition=1, minutes=2),
        message(10, "c", "before"),
        message(11, "c", None),
    )

    assert bodies(batch) == {"a": "newer, by a clock that went back", "b": "late", "c": None}
    assert batch.superseded == 3


def test_a_bad_message_is_set_aside_unless_a_good_one_followed():
    batch = read(bad(1), message(2), message(3, "b"), bad(4, b"b"), bad(5, b"b"), bad(6, None))

    assert [(entry.item_key, entry.payload_pointer) for entry in batch.rejections] == [
        ("b", "notes[0]@5"),
        ("0:6", "notes[0]@6"),
    ]
    assert set(bodies(batch)) == {"a", "b"}
    assert batch.superseded == 2


@pytest.mark.parametrize(
    ("refused", "reason"),
    [
        (bad(1), "a message is not JSON"),
        (bad(1, value=b"[1]"), "a message is not a JSON object: got list"),
        (bad(1, value=b'{"page": {"body": "x"}}'), "a record has no id"),
        (bad(1, value=b'{"id": "a", "page": {}}'), "a record has no text"),
        (bad(1, value=b'{"id": "a", "page": {"body": ["x"]}}'), "page.body is no single value"),
        (bad(1, b"\xff", b"{}"), "a key of a message is not UTF-8"),
        (bad(1, None, None), "a message has no key"),
        (message(1, body="x" * 2_000), "a message is too large"),
    ],
)
def test_what_cannot_be_taken_in_says_why_and_where_it_stands(refused, reason):
    batch = read(refused, ingest=IngestSettings(max_item_bytes=1_000))

    [entry] = batch.rejections
    assert entry.reason.startswith(reason)
    assert (entry.dataset, entry.payload_pointer, bodies(batch)) == ("wiki", "notes[0]@1", {})


def test_without_records_the_key_is_the_document_and_the_value_its_content():
    batch = read(Message("notes", 0, 1, DAY_ZERO, b"guide.md", b"# Guide"), records=None)

    [item] = batch.items({})
    assert (item.source_uri, item.content) == ("guide.md", b"# Guide")


def test_a_repeated_message_changes_nothing_and_a_tombstone_ends_its_document(tmp_path):
    landing = LandingZone(tmp_path)
    landed = scan_source(read(message(1), message(2, "b")), {}, landing).envelopes
    known = {envelope.document_id: envelope for envelope in landed}

    again = scan_source(read(message(8), message(9, "b", lang="de")), known, landing)
    ended = scan_source(read(message(8, body=None), message(9, "never there", None)), known, landing)

    assert [(envelope.source_uri, envelope.change, envelope.source_version) for envelope in again.envelopes] == [
        ("b", "metadata", "0:9")
    ]
    assert [(envelope.document_id, envelope.change) for envelope in ended.envelopes] == [
        (document_id("wiki", "a"), "vanished")
    ]
