import os
import subprocess
import sys

import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import BRONZE_DOCUMENTS, DOCUMENT_ACCESS
from ragstone.lake import quarantine, read
from ragstone.lake.delta import open_table, table_version
from ragstone.lake.documents import bronze_app_id, bronze_state, pending_batches
from ragstone.lake.landing import LandingZone
from ragstone.runtime import metrics
from ragstone.runtime.errors import ConfigError, ContractError, DeletionGuardError
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import load_settings
from spark_jobs import bronze
from spark_jobs.ingest_documents import run
from spark_jobs.sources.files import FilesConnector
from tests.factories import make_bronze_row, make_envelope, write_rows

pytestmark = pytest.mark.spark
MEBIBYTE = 1024 * 1024


@pytest.fixture
def notes(tmp_path):
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(home, notes):
    yield settings_for(home, notes)
    stop_redis(settings_for(home, notes))


def settings_for(home, notes, **source):
    return load_settings(
        home=home, sources={"notes": {"root": str(notes), **source}}, ingest={"max_deleted_share": 1.0}
    )


def in_bronze(settings):
    rows = read.query(
        settings.lake_root, "SELECT * FROM bronze ORDER BY landing_batch, source_uri", bronze=BRONZE_DOCUMENTS
    )
    return rows.to_pylist()


def changes(settings):
    return [(row["source_uri"], row["change"], row["landing_batch"]) for row in in_bronze(settings)]


def set_aside(settings):
    return {row["item_key"]: row["reason"] for row in quarantine.open_entries(settings.lake_root).to_pylist()}


def counts(result):
    return result.accepted, result.unchanged, result.quarantined, result.written


def test_new_items_become_bronze_rows_equal_to_their_envelopes(spark, settings, notes):
    (notes / "a.md").write_text("# A")
    (notes / "sub").mkdir()
    (notes / "sub/b c.txt").write_text("Bé\u2028B")
    result = run(settings, "run-1")
    assert (result.status, result.unit, counts(result)) == ("ok", "items", (2, 0, 0, 2))
    (batch,) = LandingZone(settings.landing_root).read_batches()
    rows = [
        make_bronze_row(envelope, created_timestamp=row["created_timestamp"])
        for envelope, row in zip(batch.envelopes, in_bronze(settings), strict=True)
    ]
    assert in_bronze(settings) == [{**row, "source_metadata": []} for row in rows]
    assert result.tables_written == {"bronze.documents": table_version(settings.lake_root, BRONZE_DOCUMENTS)}
    assert result.details["sources"]["notes"]["bytes_fetched"] == 3 + len("Bé\u2028B".encode())


def written_outside_ops(home):
    # The logs hold the metrics each run leaves, which tell of the run and not of the data; locks hold nothing.
    files = (path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path: path.read_bytes() for path in files if not {"ops", "logs"} & set(path.relative_to(home).parts)}


def ingest_without_java(settings, notes):
    """Run ingest as a command that would fail if it started a JVM."""
    conf = f"sources: {{notes: {{root: '{notes}'}}}}\nspark: {{java_home: /nowhere}}\n"
    (settings.home / "conf.yaml").write_text(conf)
    command = [sys.executable, "-m", "spark_jobs.ingest_documents", "--home", str(settings.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    (settings.home / "conf.yaml").unlink()
    return done


def test_a_rerun_without_change_writes_nothing_and_starts_no_jvm(spark, settings, notes):
    (notes / "a.md").write_text("# A")
    (notes / "empty.md").write_text("")
    run(settings, "run-1")
    before = written_outside_ops(settings.home)
    rerun = ingest_without_java(settings, notes)
    assert rerun.returncode == 0, rerun.stderr
    assert written_outside_ops(settings.home) == before
    result = run(settings, "run-2")
    assert (result.status, counts(result), result.tables_written) == ("unchanged", (0, 1, 1, 0), {})
    (notes / "new.md").write_text("# New")
    # A table that exists takes a small change without a JVM too; one that has to be created does not.
    changed = ingest_without_java(settings, notes)
    assert changed.returncode == 0, changed.stderr
    assert "new.md" in {name for name, *_ in changes(settings)}


def test_without_java_the_first_run_says_so(settings, notes):
    (notes / "a.md").write_text("# A")
    refused = ingest_without_java(settings, notes)
    assert refused.returncode == 4
    assert "/nowhere" in refused.stderr


def test_only_what_changed_is_landed(spark, home, settings, notes):
    for name in ("a.md", "b.md", "c.md"):
        (notes / name).write_text(name)
    run(settings, "run-1")
    (notes / "a.md").write_text("edited")
    (notes / "b.md").unlink()
    (notes / "d.md").write_text("new")
    result = run(settings, "run-2")
    assert counts(result) == (2, 1, 0, 3)
    assert changes(settings)[3:] == [("a.md", "fetched", 2), ("b.md", "vanished", 2), ("d.md", "fetched", 2)]
    assert bronze_state(settings)[document_id("notes", "b.md")].content_hash is None


def test_what_closes_a_document_binds_before_the_pipeline_goes_on(spark, home, settings, notes):
    (notes / "a.md").write_text("A")
    (notes / "b.md").write_text("B")
    run(settings, "run-1")
    (notes / "b.md").unlink()
    run(settings_for(home, notes, acl=["staff"]), "run-2")
    access = read.newest_rows(settings.lake_root, DOCUMENT_ACCESS).to_pylist()
    assert {row["document_id"]: (row["active"], row["acl"]) for row in access} == {
        document_id("notes", "a.md"): (True, ["staff"]),
        document_id("notes", "b.md"): (False, None),
    }


def test_a_change_of_rights_whose_run_died_is_made_good_by_the_next(spark, home, settings, notes, monkeypatch):
    (notes / "a.md").write_text("A")
    run(settings, "run-1")
    (notes / "a.md").unlink()

    def die(*_):
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("ragstone.features.access.apply_access", die)
        with pytest.raises(OSError, match="killed"):
            run(settings, "run-2")
    assert table_version(settings.lake_root, DOCUMENT_ACCESS) == -1
    result = run(settings, "run-3")
    assert (result.status, counts(result)) == ("ok", (0, 0, 0, 1))
    assert read.newest_rows(settings.lake_root, DOCUMENT_ACCESS)["active"].to_pylist() == [False]


def test_a_run_that_died_before_bronze_is_taken_up_once(spark, settings, notes, monkeypatch):
    (notes / "a.md").write_text("A")

    def die(*_):
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(bronze, "follow_landing", die)
        with pytest.raises(OSError, match="killed"):
            run(settings, "run-1")
    assert table_version(settings.lake_root, BRONZE_DOCUMENTS) == -1
    (notes / "b.md").write_text("B")
    assert counts(run(settings, "run-2")) == (1, 1, 0, 2)
    assert changes(settings) == [("a.md", "fetched", 1), ("b.md", "fetched", 2)]
    assert [row["run_id"] for row in in_bronze(settings)] == ["run-1", "run-2"]
    assert pending_batches(settings) == []
    # A driver that died after its commit comes again with the same batches.
    bronze.follow_landing(settings, [1, 2])
    assert len(in_bronze(settings)) == 2


def test_a_delete_that_came_during_the_run_is_not_undone_by_it(spark, settings, notes, monkeypatch):
    (notes / "a.md").write_text("A")
    run(settings, "run-1")
    (notes / "a.md").write_text("edited")
    (notes / "b.md").write_text("B")
    fetch = FilesConnector.fetch

    def fetch_while_someone_deletes(connector, item):
        if item.source_uri == "a.md":
            LandingZone(settings.landing_root).append_batch([make_envelope("a.md", "deleted")])
        return fetch(connector, item)

    with monkeypatch.context() as patched:
        patched.setattr(FilesConnector, "fetch", fetch_while_someone_deletes)
        result = run(settings, "run-2")
    assert (result.accepted, result.unchanged) == (1, 1)
    assert changes(settings)[1:] == [("a.md", "deleted", 2), ("b.md", "fetched", 3)]
    result = run(settings, "run-3")
    assert (result.status, result.unchanged) == ("unchanged", 2)


def test_bad_items_are_set_aside_and_their_neighbours_arrive(spark, settings, notes, monkeypatch):
    (notes / "a.md").write_text("before them")
    (notes / "binary.txt").write_bytes(b"posing as text" + bytes(range(256)) * 4)
    (notes / "broken.txt").write_bytes("naïve café déjà".encode()[:-1] + b"\xff vu")
    (notes / "empty.md").write_bytes(b"")
    with (notes / "huge.txt").open("wb") as file:
        file.truncate(200 * MEBIBYTE)
    (notes / "vanishing.md").write_text("was here when it was listed")
    (notes / "z.md").write_text("after them")
    fetch = FilesConnector.fetch

    def fetch_while_one_vanishes(connector, item):
        (notes / "vanishing.md").unlink(missing_ok=True)
        return fetch(connector, item)

    with monkeypatch.context() as patched:
        patched.setattr(FilesConnector, "fetch", fetch_while_one_vanishes)
        result = run(settings, "run-1")
    assert counts(result) == (2, 0, 5, 2)
    assert [row["source_uri"] for row in in_bronze(settings)] == ["a.md", "z.md"]
    reasons = set_aside(settings)
    assert {item: reason.split(":")[0] for item, reason in reasons.items()} == {
        "binary.txt": "the item is binary, not text",
        "broken.txt": "the item is broken UTF-8",
        "empty.md": "the item is empty",
        "huge.txt": "the file is too large",
        "vanishing.md": "the file cannot be read",
    }
    assert all("got " in reason and "wanted " in reason for reason in reasons.values())
    assert f"got {200 * MEBIBYTE} bytes" in reasons["huge.txt"]


def test_an_item_that_turns_bad_keeps_its_last_good_version_and_mending_it_closes_the_entry(spark, settings, notes):
    (notes / "a.md").write_text("good")
    run(settings, "run-1")
    (notes / "a.md").write_text("")
    assert counts(run(settings, "run-2")) == (0, 0, 1, 0)
    assert counts(run(settings, "run-3")) == (0, 0, 1, 0)
    assert [row["change"] for row in in_bronze(settings)] == ["fetched"]
    (notes / "a.md").write_text("good again")
    assert counts(run(settings, "run-4")) == (1, 0, 0, 1)
    assert set_aside(settings) == {}
    assert quarantine.entries(settings.lake_root).num_rows == 1


def test_the_guard_stops_a_run_before_anything_is_landed(spark, home, settings, notes):
    for name in ("a.md", "b.md", "c.md"):
        (notes / name).write_text(name)
    run(settings, "run-1")
    (notes / "a.md").unlink()
    (notes / "d.md").write_text("new")
    guarded = load_settings(home=home, sources={"notes": {"root": str(notes)}})
    with pytest.raises(DeletionGuardError, match="1 of the 3 documents"):
        run(guarded, "run-2")
    assert len(changes(settings)) == 3
    assert LandingZone(settings.landing_root).last_batch() == 1
    assert counts(run(settings, "run-3")) == (1, 2, 0, 2)


def test_files_and_bytes_are_logged_and_counted(spark, settings, notes, caplog):
    (notes / "a.md").write_text("four")
    (notes / "b.md").write_text("")
    before = ingested("new"), ingested("rejected")
    with caplog.at_level("INFO"):
        run(settings, "run-1")
    told = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    (read_source,) = [facts for facts in told if facts["event"] == "source read"]
    assert {name: read_source[name] for name in ("items", "new", "rejected", "bytes_fetched")} == {
        "items": 2,
        "new": 1,
        "rejected": 1,
        "bytes_fetched": 4,
    }
    assert [facts["item"] for facts in told if facts["event"] == "item set aside"] == ["b.md"]
    assert (ingested("new"), ingested("rejected")) == (before[0] + 1, before[1] + 1)


def ingested(outcome):
    labels = {"source": "notes", "outcome": outcome}
    return metrics.REGISTRY.get_sample_value("ragstone_ingest_documents_total", labels) or 0


def test_a_source_that_is_gone_or_missing_is_an_error_and_not_an_empty_source(home, notes):
    notes.rmdir()
    with pytest.raises(ConfigError, match="cannot be listed"):
        run(settings_for(home, notes), "run-1")
    with pytest.raises(ConfigError, match="no source") as error:
        run(load_settings(home=home, sources={}), "run-1")
    assert error.value.next_step == "ragstone init FOLDER"


def test_bronze_does_not_follow_another_landing_zone(spark, settings, notes):
    (notes / "a.md").write_text("A")
    run(settings, "run-1")
    settings.landing_root.rename(settings.home / "landing-before")
    (notes / "b.md").write_text("B")
    with pytest.raises(ContractError, match="another landing zone"):
        run(settings, "run-2")


def test_many_batches_are_one_commit(spark, settings):
    landing = LandingZone(settings.landing_root)
    for item in range(3):
        landing.append_batch([make_envelope(f"{item}.md")])
    bronze.follow_landing(settings, [1, 2, 3])
    table = open_table(settings.lake_root, BRONZE_DOCUMENTS)
    assert table.version() == 1
    assert table.transaction_version(bronze_app_id(landing)) == 3
    assert [row["landing_batch"] for row in in_bronze(settings)] == [1, 2, 3]


def test_a_malformed_batch_stops_the_job(spark, settings):
    landing = LandingZone(settings.landing_root)
    landing.append_batch([make_envelope()])
    landing.batch_path(1).write_text(landing.batch_path(1).read_text().replace('"size_bytes": 7', '"size_bytes": "x"'))
    with pytest.raises(Exception, match="FAILFAST"):
        bronze.follow_landing(settings, [1])
    assert in_bronze(settings) == []


def test_an_unreadable_folder_stops_the_run(settings, notes, monkeypatch):
    (notes / "closed").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    # The tests may run as root, whom no permission stops.
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ConfigError, match="cannot be listed") as error:
        run(settings, "run-1")
    assert "Permission denied" in error.value.got


def test_documents_of_a_source_no_longer_configured_stay(spark, home, settings, tmp_path):
    write_rows(settings.lake_root, BRONZE_DOCUMENTS, [make_bronze_row(make_envelope(source="old"), landing_batch=0)])
    result = run(settings, "run-1")
    assert counts(result) == (0, 0, 0, 0)
    assert {envelope.change for envelope in bronze_state(settings).values()} == {"fetched"}
