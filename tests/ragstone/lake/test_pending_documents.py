from datetime import timedelta

import pytest

from ragstone.contracts.identity import content_hash, document_id
from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import (
    BRONZE_DOCUMENTS,
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
)
from ragstone.lake import quarantine
from ragstone.lake.pending_documents import ReadBy, known_chunks, pending_documents
from tests.factories import (
    CHUNKER_HASH,
    DAY_ZERO,
    at,
    make_access_row,
    make_bronze_row,
    make_chunk_row,
    make_document_row,
    make_envelope,
    make_tombstone,
    write_rows,
)

READERS = {"text/markdown": ReadBy("markdown", "1"), "text/html": ReadBy("html", "4")}
PLAIN = ReadBy("plain", "2")
GUIDE = document_id("notes", "guide.md")
CONTENT = b"# Guide"


@pytest.fixture
def root(settings):
    return settings.lake_root


def land(root, batch, change="fetched", **changes):
    envelope = make_envelope(change=change, fetched_at=at(batch), **changes)
    write_rows(root, BRONZE_DOCUMENTS, [make_bronze_row(envelope, landing_batch=batch)])


def silver(root, **changes):
    """Write what preprocess makes of the guide's first version."""
    document = make_document_row(
        content_hash=content_hash(CONTENT), parser="markdown", parser_version="1", event_timestamp=at(1), **changes
    )
    stats = {
        name: document[name] for name in ("document_id", "active", "event_timestamp", "created_timestamp", "run_id")
    }
    write_rows(root, SILVER_CHUNKS, [make_chunk_row(event_timestamp=at(1))])
    write_rows(root, DOCUMENT_STATS, [{**stats, "chunk_count": 1}])
    write_rows(root, SILVER_DOCUMENTS, [document])
    write_rows(root, DOCUMENT_ACCESS, [make_access_row(event_timestamp=at(1))])


def pending(root, accepted=99, chunker=CHUNKER_HASH):
    return pending_documents(root, accepted, READERS, PLAIN, chunker)


def differing(root, **arguments):
    return {state.source_uri: state for state in pending(root, **arguments).differing}


def test_without_bronze_nothing_counts(root):
    assert (pending(root).differing, pending(root).total, pending(root).newest_write) == ((), 0, None)


def test_a_new_document_is_to_be_written_and_opened(root):
    land(root, 1, acl=("staff",))
    found = differing(root)["guide.md"]
    assert (found.alive, found.to_write, found.is_open, found.access_differs) == (True, True, False, True)
    assert (found.event_timestamp, found.access_at, found.acl, found.versions) == (at(1), at(1), ("staff",), 0)
    assert found.content_hash == content_hash(CONTENT)


def test_what_silver_has_as_bronze_says_differs_in_nothing(root):
    land(root, 1)
    silver(root)
    result = pending(root)
    assert (result.differing, result.total, result.newest_write) == ((), 1, DAY_ZERO + timedelta(seconds=1))


def test_content_beyond_the_accepted_batch_does_not_count_but_its_access_does(root):
    land(root, 1)
    silver(root)
    land(root, 2, content=b"# New", acl=("staff",))
    found = differing(root, accepted=1)["guide.md"]
    assert (found.to_write, found.access_differs, found.acl, found.access_at) == (False, True, ("staff",), at(2))
    assert differing(root, accepted=2)["guide.md"].to_write


def test_a_new_document_beyond_the_accepted_batch_does_not_count_at_all(root):
    land(root, 1)
    assert pending(root, accepted=0).total == 0


def test_a_document_that_ended_counts_whatever_was_accepted(root):
    land(root, 1)
    silver(root)
    land(root, 2, change="vanished")
    found = differing(root, accepted=1)["guide.md"]
    assert (found.alive, found.to_write, found.access_differs, found.access_at) == (False, True, True, at(2))


def test_content_beyond_the_accepted_batch_does_not_bring_an_ended_document_back(root):
    land(root, 1)
    silver(root)
    land(root, 2, change="deleted")
    land(root, 3, change="restored")
    assert not differing(root, accepted=2)["guide.md"].alive
    found = pending(root, accepted=3)
    assert (found.differing, found.total) == ((), 1)


def test_a_document_that_ended_before_silver_had_it_leaves_nothing(root):
    land(root, 1)
    land(root, 2, change="vanished")
    result = pending(root)
    assert (result.differing, result.total) == ((), 1)


def test_a_version_in_quarantine_leaves_the_one_before_it_alive(root):
    land(root, 1)
    silver(root)
    land(root, 2, content=b"# Bad")
    rejection = Rejection("validate", "bronze.documents", GUIDE, "bad", (), GUIDE, content_hash(b"# Bad"))
    quarantine.set_aside(root, [rejection], "run-1")
    assert pending(root).differing == ()
    quarantine.resolve(root, [quarantine.entry_id(rejection)], "run-2")
    assert differing(root)["guide.md"].to_write


def test_a_version_set_aside_after_it_went_live_stays_live(root):
    land(root, 0.5, content=b"# Old")
    land(root, 1)
    silver(root)
    quarantine.set_aside(
        root, [Rejection("validate", "bronze.documents", GUIDE, "bad", (), GUIDE, content_hash(CONTENT))], "run-1"
    )
    assert pending(root).differing == ()


@pytest.mark.parametrize(
    "change",
    [
        {"parser_version": "0"},
        {"parser": "plain"},
        {"content_hash": "f" * 64},
        {"source_modified_at": at(7)},
    ],
)
def test_a_document_read_otherwise_is_to_be_written_again(root, change):
    land(root, 1)
    document = make_document_row(
        **{"content_hash": content_hash(CONTENT), "parser": "markdown", "parser_version": "1", **change},
    )
    silver(root)
    write_rows(root, SILVER_DOCUMENTS, [{**document, "event_timestamp": at(1), "created_timestamp": at(1)}])
    assert differing(root)["guide.md"].to_write
    assert differing(root)["guide.md"].versions == 2


def test_another_chunker_or_lost_chunks_mean_writing_again(root):
    land(root, 1)
    silver(root)
    assert differing(root, chunker="another")["guide.md"].to_write
    write_rows(
        root, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, make_chunk_row()["chunk_id"], event_timestamp=at(2))]
    )
    assert differing(root)["guide.md"].to_write


def test_chunks_that_were_all_set_aside_do_not_make_a_document_pending(root):
    land(root, 1)
    silver(root)
    chunk = make_chunk_row()["chunk_id"]
    write_rows(root, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, chunk, event_timestamp=at(2))])
    quarantine.set_aside(root, [Rejection("preprocess", "silver.chunks", chunk, "bad", (), GUIDE, "t")], "run-1")
    assert pending(root).differing == ()


def test_a_dismissed_version_stays_out(root):
    land(root, 1)
    silver(root)
    land(root, 2, content=b"# Bad")
    rejection = Rejection("validate", "bronze.documents", GUIDE, "bad", (), GUIDE, content_hash(b"# Bad"))
    quarantine.set_aside(root, [rejection], "run-1")
    quarantine.dismiss(root, quarantine.entry_id(rejection), "run-2", "ann", "known")
    assert pending(root).differing == ()


@pytest.mark.parametrize(("dataset", "is_read"), [("bronze.documents", False), ("silver.documents", True)])
def test_a_retried_version_is_read_again_by_the_step_that_refused_it(root, dataset, is_read):
    land(root, 1, content=b"# Bad")
    rejection = Rejection("validate", dataset, GUIDE, "bad", (), GUIDE, content_hash(b"# Bad"))
    quarantine.set_aside(root, [rejection], "run-1")
    assert pending(root).differing == ()
    quarantine.retry(root, quarantine.entry_id(rejection), "run-2", "ann")
    assert bool(pending(root).differing) is is_read


def test_a_document_whose_chunk_is_retried_is_read_again(root):
    land(root, 1)
    silver(root)
    rejection = Rejection("preprocess", "silver.chunks", "a" * 32, "bad", (), GUIDE, "t")
    quarantine.set_aside(root, [rejection], "run-1")
    assert pending(root).differing == ()
    quarantine.retry(root, quarantine.entry_id(rejection), "run-2", "ann")
    assert differing(root)["guide.md"].has_to_be_read


def test_access_that_was_closed_later_than_bronze_knows_is_left_alone(root):
    land(root, 1)
    silver(root)
    write_rows(root, DOCUMENT_ACCESS, [make_access_row(active=False, acl=None, event_timestamp=at(9))])
    assert pending(root).differing == ()


def test_access_alone_is_no_reason_to_read_a_text(root):
    land(root, 1)
    silver(root)
    land(root, 2, change="access", acl=("staff",))
    found = differing(root)["guide.md"]
    assert (found.to_write, found.access_differs) == (False, True)


def test_known_chunks_are_the_living_ones_of_the_documents_asked_for(root):
    gone = make_chunk_row("Gone.")
    write_rows(root, SILVER_CHUNKS, [make_chunk_row(), gone, make_chunk_row("B", source_uri="b.md")])
    write_rows(root, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, gone["chunk_id"], event_timestamp=at(2))])
    assert known_chunks(root, [GUIDE]) == {GUIDE: [(make_chunk_row()["chunk_id"], 0, 0, 8, "", 2)]}
    assert known_chunks(root, []) == {}
