import pytest

from ragstone.contracts.identity import content_hash, document_id
from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, embeddings
from ragstone.lake import quarantine
from ragstone.lake.quarantine_settling import settle_chunks, settle_documents, settle_read_chunks
from tests.factories import at, make_bronze_row, make_chunk_row, make_envelope, make_tombstone, write_rows

GUIDE = document_id("notes", "guide.md")


@pytest.fixture
def root(settings):
    return settings.lake_root


def land(root, batch, content=b"# Guide", change="fetched"):
    envelope = make_envelope(change=change, content=content, fetched_at=at(batch))
    write_rows(root, BRONZE_DOCUMENTS, [make_bronze_row(envelope, landing_batch=batch)])


def reject(root, content, step="validate", dataset="bronze.documents"):
    entry = Rejection(step, dataset, GUIDE, "bad", (), GUIDE, content_hash(content))
    quarantine.set_aside(root, [entry], "run-1")
    return quarantine.entry_id(entry)


def resolutions(root):
    return {row["entry_id"]: row["resolution"] for row in quarantine.entries(root).to_pylist()}


@pytest.mark.parametrize(("step", "dataset"), [("validate", "bronze.documents"), ("preprocess", "silver.documents")])
def test_an_entry_of_a_document_that_vanished_closes(root, step, dataset):
    land(root, 1, b"bad")
    entry = reject(root, b"bad", step, dataset)
    assert settle_documents(root, 1, "run-2") == 0
    land(root, 2, change="vanished")
    assert settle_documents(root, 1, "run-3") == 1
    assert resolutions(root) == {entry: "vanished"}


def test_a_fixed_document_closes_its_entry_once_the_new_version_counts(root):
    land(root, 1, b"bad")
    entry = reject(root, b"bad")
    land(root, 2, b"good")
    assert settle_documents(root, 1, "run-2") == 0
    assert settle_documents(root, 2, "run-3") == 1
    assert resolutions(root) == {entry: "superseded"}
    # Were it not held, it would count should the newer version be set aside after all.
    assert quarantine.held_entries(root)["entry_id"].to_pylist() == [entry]


def test_a_newer_version_that_is_no_better_closes_nothing(root):
    land(root, 1, b"old and good")
    land(root, 2, b"bad")
    land(root, 3, b"worse")
    reject(root, b"bad")
    reject(root, b"worse")
    assert settle_documents(root, 3, "run-2") == 0


def test_entries_of_what_a_source_refused_wait_for_its_next_look(root):
    land(root, 1, change="vanished")
    reject(root, b"big", "ingest", "notes")
    assert settle_documents(root, 1, "run-2") == 0


def test_chunk_entries_close_when_their_document_is_read_without_them(root):
    chunk = make_chunk_row()
    write_rows(root, SILVER_CHUNKS, [chunk])
    ids = (chunk["chunk_id"], "a" * 32, "b" * 32)
    entries = [Rejection("preprocess", "silver.chunks", key, "bad", (), GUIDE, "t") for key in ids]
    elsewhere = Rejection("preprocess", "silver.chunks", "c" * 32, "bad", (), "another document", "t")
    quarantine.set_aside(root, [*entries, elsewhere], "run-1")
    assert settle_read_chunks(root, "preprocess", {GUIDE}, {"b" * 32}, "run-2") == 2
    wanted = ("mended", "vanished", None, None)
    assert resolutions(root) == dict(zip(map(quarantine.entry_id, (*entries, elsewhere)), wanted, strict=True))


def test_vector_entries_close_when_their_chunk_is_gone(root):
    table = embeddings("small", 4)
    chunk = make_chunk_row()
    write_rows(root, SILVER_CHUNKS, [chunk])
    quarantine.set_aside(root, [Rejection("embed", table.name, chunk["chunk_id"], "bad", (), GUIDE, "k")], "run-1")
    assert settle_chunks(root, "embed", table, "run-2") == 0
    write_rows(root, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, chunk["chunk_id"], event_timestamp=at(9))])
    assert settle_chunks(root, "embed", table, "run-3") == 1
    assert list(resolutions(root).values()) == ["vanished"]
