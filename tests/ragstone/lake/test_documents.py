import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake.documents import access_changes, bronze_state, last_content, pending_batches
from ragstone.lake.landing import LandingZone
from tests.factories import at, make_bronze_row, make_envelope, write_rows

GUIDE, PLAN = document_id("notes", "guide.md"), document_id("notes", "plan.md")


@pytest.fixture
def landing(settings):
    return LandingZone(settings.landing_root)


def in_bronze(settings, *envelopes):
    rows = [make_bronze_row(envelope, batch) for batch, envelope in enumerate(envelopes, start=1)]
    write_rows(settings.lake_root, BRONZE_DOCUMENTS, rows)


def test_nothing_is_known_at_first(settings):
    assert bronze_state(settings) == {}
    assert last_content(settings, GUIDE) is None


def test_the_newest_change_counts_and_pending_ones_are_newer(settings, landing):
    old, new = make_envelope(fetched_at=at(0)), make_envelope(content=b"new", fetched_at=at(1))
    in_bronze(settings, old, new, make_envelope("plan.md", fetched_at=at(2)))
    assert bronze_state(settings)[GUIDE] == new
    gone = make_envelope("plan.md", "vanished", fetched_at=at(3))
    landing.append_batch([gone])
    assert bronze_state(settings) == {GUIDE: new, PLAN: gone}
    assert bronze_state(settings, PLAN) == {PLAN: gone}
    assert [batch.number for batch in pending_batches(settings)] == [1]


def test_the_last_content_survives_a_delete(settings, landing):
    content = make_envelope(fetched_at=at(0))
    in_bronze(settings, content, make_envelope(change="deleted", fetched_at=at(1)))
    assert last_content(settings, GUIDE) == content
    newer = make_envelope(content=b"pending", fetched_at=at(2))
    landing.append_batch([newer])
    landing.append_batch([make_envelope(change="deleted", fetched_at=at(3))])
    assert last_content(settings, GUIDE) == newer


def test_what_opens_or_closes_a_document_must_not_wait(settings, landing):
    in_bronze(settings, make_envelope(fetched_at=at(0)), make_envelope("plan.md", fetched_at=at(0)))
    narrowed = make_envelope(content=b"changed", acl=("staff",), fetched_at=at(1))
    gone = make_envelope("plan.md", "vanished", fetched_at=at(1))
    edited = make_envelope(content=b"changed again", acl=("staff",), fetched_at=at(2))
    returned = make_envelope("plan.md", fetched_at=at(3))
    first = make_envelope("first.md", fetched_at=at(3))
    deleted = make_envelope("first.md", "deleted", fetched_at=at(4))
    landing.append_batch([narrowed, gone])
    landing.append_batch([edited])
    landing.append_batch([returned, first])
    landing.append_batch([deleted])
    assert access_changes(settings) == [narrowed, gone, deleted]
