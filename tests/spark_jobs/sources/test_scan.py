from dataclasses import replace

import pytest

from ragstone.contracts.identity import document_id
from ragstone.lake.landing import LandingZone
from ragstone.runtime.errors import DeletionGuardError
from ragstone.runtime.settings import IngestSettings, ParsingSettings
from ragstone.runtime.source_settings import FilesSource
from spark_jobs.sources.files import FilesConnector
from spark_jobs.sources.scan import check_deletions, scan_source
from tests.factories import make_envelope

GUIDE = document_id("notes", "guide.md")


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "guide.md").write_bytes(b"# Guide")
    return folder


def scan(root, known=(), **source):
    connector = FilesConnector(
        "notes", FilesSource(root=root, **source), IngestSettings(max_item_bytes=1_000), ParsingSettings()
    )
    landing = LandingZone(root.parent / "landing")
    return scan_source(connector, {envelope.document_id: envelope for envelope in known}, landing)


def changes(found):
    return [(envelope.source_uri, envelope.change) for envelope in found.envelopes]


def test_a_new_item_is_fetched_with_its_envelope(root):
    found = scan(root, acl=("staff",), metadata={"team": "ops"})
    (envelope,) = found.envelopes
    wanted = make_envelope(content=b"# Guide", acl=("staff",), source_metadata={"team": "ops"})
    same = ("document_id", "source", "source_uri", "change", "content_hash", "mime_type", "landing_uri", "acl")
    assert {name: getattr(envelope, name) for name in same} == {name: getattr(wanted, name) for name in same}
    assert envelope.source_metadata == {"team": "ops"}
    assert LandingZone(root.parent / "landing").read_object(envelope.landing_uri) == b"# Guide"
    assert (found.new, found.changed, found.unchanged, found.bytes_fetched) == (1, 0, 0, 7)


def test_an_unchanged_item_is_counted_and_left(root):
    (root / "guide.md").touch()
    found = scan(root, [make_envelope(content=b"# Guide")])
    assert (changes(found), found.unchanged, found.bytes_fetched, found.bytes_read) == ([], 1, 0, 7)


@pytest.mark.parametrize(
    ("before", "source", "change"),
    [
        ({"content": b"# Old"}, {}, "fetched"),
        ({"content": b"# Guide"}, {"acl": ("staff",)}, "access"),
        ({"content": b"# Guide"}, {"acl": ("staff",), "metadata": {"team": "ops"}}, "access"),
        ({"content": b"# Guide"}, {"metadata": {"team": "ops"}}, "metadata"),
        ({"change": "vanished"}, {}, "fetched"),
        ({"content": b"# Guide", "change": "restored", "acl": ("staff",)}, {}, "access"),
    ],
)
def test_a_change_is_named_by_the_gravest(root, before, source, change):
    found = scan(root, [make_envelope(**before)], **source)
    assert changes(found) == [("guide.md", change)]
    assert found.new + found.changed == 1


def test_a_vanished_item_becomes_a_tombstone_once(root):
    gone = make_envelope("gone.md")
    found = scan(root, [make_envelope(), gone])
    assert changes(found) == [("gone.md", "vanished")]
    assert found.envelopes[0].content_hash is None
    assert changes(scan(root, [make_envelope(), make_envelope("gone.md", "vanished")])) == []


def test_a_deleted_document_is_suppressed_whatever_its_source_does(root):
    deleted = [make_envelope(change="deleted"), make_envelope("gone.md", "deleted")]
    (root / "guide.md").write_bytes(b"# Edited")
    found = scan(root, deleted)
    assert (changes(found), found.suppressed, found.unchanged, found.items) == ([], 1, 1, 1)


def test_a_purged_document_is_known_by_its_id_alone(root):
    purged = replace(make_envelope(change="deleted"), source_uri="purged:somebody")
    found = scan(root, [purged])
    assert (found.suppressed, found.new, found.envelopes) == (1, 0, [])


def test_an_item_that_cannot_be_taken_in_counts_as_present(root):
    (root / "guide.md").write_bytes(b"")
    found = scan(root, [make_envelope()])
    (rejection,) = found.rejections
    assert changes(found) == []
    assert rejection.item_key == "guide.md"
    assert rejection.reason == "the item is empty: got 0 bytes, all blank, wanted text"
    assert rejection.payload_pointer == str(root / "guide.md")
    assert found.counts()["rejected"] == 1


def living(count):
    return {str(item): make_envelope(f"{item}.md") for item in range(count)}


def test_the_guard_stops_above_the_share_and_not_at_it(root):
    found = scan(root)
    found.vanished = 2
    check_deletions(found, living(10), 0.2)
    with pytest.raises(DeletionGuardError, match="2 of the 9 documents") as error:
        check_deletions(found, living(9), 0.2)
    assert "--allow-deletes" in error.value.next_step
    check_deletions(found, living(9), 1.0)


def test_deleted_documents_do_not_widen_the_share(root):
    found = scan(root)
    found.vanished = 2
    deleted = {f"d{item}": make_envelope(f"d{item}.md", "deleted") for item in range(90)}
    with pytest.raises(DeletionGuardError):
        check_deletions(found, {**living(9), **deleted}, 0.2)
