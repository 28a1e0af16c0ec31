import json
import os
import threading
from datetime import UTC, datetime, timedelta

import pytest

from ragstone.contracts.identity import content_hash
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import ContractError, NotFoundError
from tests.factories import at, make_envelope


@pytest.fixture
def landing(home):
    return LandingZone(home / "landing")


def test_bytes_come_back_from_where_they_were_put(landing):
    content = b"\x00\xffany bytes"
    uri = landing.put_object(content)
    assert uri == f"objects/{content_hash(content)[:2]}/{content_hash(content)}"
    assert landing.put_object(content) == uri
    assert landing.read_object(uri) == content


def test_an_object_that_was_changed_is_refused(landing):
    uri = landing.put_object(b"as received")
    (landing.root / uri).write_bytes(b"as someone left it")
    with pytest.raises(ContractError, match="not as it was received"):
        landing.read_object(uri)


def test_a_missing_object_is_named(landing):
    with pytest.raises(NotFoundError, match="landing object"):
        landing.read_object("objects/aa/" + "a" * 64)


def test_batches_are_numbered_from_one_and_come_back_whole(landing):
    fetched = make_envelope("a\u2028b.md", source_metadata={"team": "ops"}, acl=("staff", "ops"))
    gone = make_envelope("gone.md", "vanished")
    assert landing.last_batch() == 0
    assert landing.append_batch([fetched, gone], "run-1").number == 1
    assert landing.append_batch([make_envelope("late.md")]).number == 2
    first, second = landing.read_batches()
    assert (first.number, first.run_id, first.envelopes) == (1, "run-1", (fetched, gone))
    assert second.run_id
    assert [batch.number for batch in landing.read_batches(after=1)] == [2]


def test_a_batch_holds_each_document_once_and_is_not_empty(landing):
    for wrong in ([], [make_envelope(), make_envelope(change="vanished")]):
        with pytest.raises(ContractError, match="once"):
            landing.append_batch(wrong)
    assert landing.last_batch() == 0


def test_a_number_that_is_taken_is_not_given_again(landing):
    assert landing.try_append([make_envelope("a.md")], "run-1", 1) is not None
    assert landing.try_append([make_envelope("b.md")], "run-2", 1) is None
    assert [batch.envelopes[0].source_uri for batch in landing.read_batches()] == ["a.md"]


def test_many_writers_lose_nothing(landing):
    def write(writer):
        for item in range(10):
            landing.append_batch([make_envelope(f"{writer}/{item}.md")])

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    landed = {batch.envelopes[0].source_uri for batch in landing.read_batches()}
    assert landed == {f"{writer}/{item}.md" for writer in range(4) for item in range(10)}
    assert landing.last_batch() == 40


def test_a_batch_that_was_being_written_when_its_writer_died_is_not_seen(landing, monkeypatch):
    def die(*_):
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", die)
        with pytest.raises(OSError, match="killed"):
            landing.append_batch([make_envelope()])
    assert landing.last_batch() == 0
    assert list(landing.read_batches()) == []


def test_times_are_written_in_utc_to_the_microsecond(landing):
    landing.append_batch([make_envelope(fetched_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))])
    record = json.loads(landing.batch_path(1).read_text())
    assert record["fetched_at"] == "2026-01-02T03:04:05.000000+00:00"


def test_times_follow_the_order_of_the_log(landing):
    ahead = datetime(2026, 5, 1, tzinfo=UTC)
    landing.append_batch([make_envelope(fetched_at=ahead)])
    behind = landing.append_batch([make_envelope(change="deleted"), make_envelope("b.md", fetched_at=at(1))])
    assert {envelope.fetched_at for envelope in behind.envelopes} == {ahead + timedelta(microseconds=1)}
    assert list(landing.read_batches(after=1)) == [behind]


def test_the_identity_stays(landing):
    assert landing.landing_id() == LandingZone(landing.root).landing_id()
    assert landing.landing_id() != LandingZone(landing.root.parent / "other").landing_id()


def test_a_batch_knows_what_it_was_read_from(tmp_path):
    landing = LandingZone(tmp_path)
    landing.append_untouched([make_envelope("a.md")], "run-1", 0, "notes:query:0")
    landing.append_batch([make_envelope("b.md")])

    assert landing.holds_origin("notes:query:0")
    assert not landing.holds_origin("notes:query:1")
    assert [batch.origin for batch in landing.read_batches()] == ["notes:query:0", None]
