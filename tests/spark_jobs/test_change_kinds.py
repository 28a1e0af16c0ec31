"""Each kind of change takes its own cheap way through ingest, validate, preprocess and embed."""

import os
import shutil

import pytest

from ragstone.contracts.tables import (
    BRONZE_DOCUMENTS,
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
    embeddings,
)
from ragstone.embedding.load import embedding_spec
from ragstone.lake import read
from ragstone.lake.delta import table_version
from ragstone.lake.ops import recorded_run
from ragstone.runtime.settings import load_settings
from spark_jobs import document_versions, embed_chunks, ingest_documents, preprocess_documents, session
from spark_jobs import validate_documents as validate

pytestmark = pytest.mark.spark
STEPS = (ingest_documents, validate, preprocess_documents, embed_chunks)
TEXTS = {"fox.md": "# Fox\n\nA fox jumps.\n\n## Dog\n\nThe dog sleeps.", "redis.txt": "Redis keeps the newest row."}


def settings_of(folder, **source):
    return load_settings(
        home=folder / "home",
        sources={"notes": {"root": str(folder / "notes"), **source}},
        ingest={"max_deleted_share": 1.0},
    )


def run_all(settings, run_id):
    return {step.STEP: recorded_run(step.STEP, step.run, settings, run_id) for step in STEPS}


@pytest.fixture(scope="module")
def filled(spark, tmp_path_factory):
    """A home that all steps have run on."""
    folder = tmp_path_factory.mktemp("filled")
    (folder / "home").mkdir()
    (folder / "notes").mkdir()
    for name, text in TEXTS.items():
        (folder / "notes" / name).write_text(text)
    assert run_all(settings_of(folder), "run-1")["embed"].details["texts_encoded"] == 3
    return folder


@pytest.fixture
def folder(filled, tmp_path):
    shutil.copytree(filled, tmp_path / "copy")
    for name in TEXTS:
        # The files connector tells what is unchanged by size and time.
        shutil.copystat(filled / "notes" / name, tmp_path / "copy" / "notes" / name)
    return tmp_path / "copy"


@pytest.fixture
def no_jvm(monkeypatch):
    def refuse(*_):
        raise AssertionError("a session was opened")

    monkeypatch.setattr(session, "open_session", refuse)


@pytest.fixture
def no_parsing(monkeypatch):
    def refuse(*_):
        raise AssertionError("a document was parsed")

    monkeypatch.setattr(document_versions, "parse", refuse)


def space(settings):
    spec = embedding_spec(settings)
    return embeddings(spec.space, spec.dim)


def versions(settings):
    tables = (SILVER_DOCUMENTS, SILVER_CHUNKS, DOCUMENT_STATS, DOCUMENT_ACCESS, space(settings))
    return {table.name: table_version(settings.lake_root, table) for table in tables}


def changed_tables(settings, before):
    return {name for name, version in versions(settings).items() if version != before[name]}


def test_who_may_read_is_one_row_per_document_without_a_jvm(folder, no_jvm):
    before = versions(settings_of(folder))
    settings = settings_of(folder, acl=["staff"])
    results = run_all(settings, "run-2")
    assert results["validate"].accepted == 2
    assert changed_tables(settings, before) == {DOCUMENT_ACCESS.name}
    assert read.state(settings.lake_root, DOCUMENT_ACCESS)["acl"].to_pylist() == [["staff"]] * 2


def test_what_is_said_of_a_document_changes_its_rows_without_a_jvm_or_a_parser(folder, no_jvm, no_parsing):
    before = versions(settings_of(folder))
    os.utime(folder / "notes" / "fox.md", (1_000_000_000, 1_000_000_000))
    settings = settings_of(folder, metadata={"team": "search"})
    run_all(settings, "run-2")
    assert changed_tables(settings, before) == {SILVER_DOCUMENTS.name, DOCUMENT_STATS.name}
    rows = read.state(settings.lake_root, SILVER_DOCUMENTS).to_pylist()
    [fox] = [row for row in rows if row["source_uri"] == "fox.md"]
    assert (fox["source_modified_at"].year, fox["run_id"], fox["title"]) == (2001, "run-2", "Fox")
    assert "A fox jumps." in fox["text"]
    stats = read.state(settings.lake_root, DOCUMENT_STATS, where=f"document_id = '{fox['document_id']}'").to_pylist()
    assert (stats[0]["source_modified_at"].year, stats[0]["chunk_count"], stats[0]["change_count"]) == (2001, 2, 1)
    assert read.query(settings.lake_root, "SELECT DISTINCT change FROM b", b=BRONZE_DOCUMENTS).num_rows == 2
    assert all(result.status == "unchanged" for result in run_all(settings, "run-3").values())


def test_a_document_that_vanished_leaves_tombstones_without_a_jvm_or_a_parser(folder, no_jvm, no_parsing):
    settings = settings_of(folder)
    (folder / "notes" / "fox.md").unlink()
    results = run_all(settings, "run-2")
    assert (results["preprocess"].accepted, results["embed"].accepted) == (1, 2)
    for table in (SILVER_DOCUMENTS, DOCUMENT_STATS, DOCUMENT_ACCESS, SILVER_CHUNKS, space(settings)):
        assert read.state(settings.lake_root, table).num_rows == 1
    assert run_all(settings, "run-3")["embed"].status == "unchanged"


def test_a_document_that_comes_back_has_nothing_encoded_again(folder):
    settings, fox = settings_of(folder), folder / "notes" / "fox.md"
    fox.unlink()
    run_all(settings, "run-2")
    fox.write_text(TEXTS["fox.md"])
    assert_nothing_encoded(settings, "run-3")


def test_a_document_that_moved_has_nothing_encoded_again(folder):
    settings, fox = settings_of(folder), folder / "notes" / "fox.md"
    fox.rename(fox.with_name("vixen.md"))
    assert_nothing_encoded(settings, "run-2")
    uris = read.state(settings.lake_root, SILVER_DOCUMENTS, columns=("source_uri",))["source_uri"].to_pylist()
    assert sorted(uris) == ["redis.txt", "vixen.md"]


def assert_nothing_encoded(settings, run_id):
    result = run_all(settings, run_id)["embed"]
    assert (result.details["texts_encoded"], result.details["followed"]) == (0, "change feed")
    vectors = read.state(settings.lake_root, space(settings), columns=("chunk_id", "embedding"))
    assert vectors.num_rows == read.state(settings.lake_root, SILVER_CHUNKS).num_rows == 3
    assert vectors["embedding"].null_count == 0
