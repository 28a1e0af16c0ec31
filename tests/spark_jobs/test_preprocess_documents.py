import csv
import subprocess
import sys
from dataclasses import replace

import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import (
    BRONZE_DOCUMENTS,
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
)
from ragstone.lake import quarantine, read
from ragstone.lake.delta import table_version
from ragstone.lake.landing import LandingZone
from ragstone.lake.ops import recorded_run
from ragstone.runtime.errors import QualityGateError
from ragstone.runtime.settings import load_settings
from spark_jobs import document_batch, document_task, lake
from spark_jobs.preprocess_documents import run
from tests.factories import at, make_bronze_row, make_envelope, write_rows

pytestmark = pytest.mark.spark
SILVER = (SILVER_DOCUMENTS, DOCUMENT_ACCESS, SILVER_CHUNKS, DOCUMENT_STATS)
GUIDE = "# Guide\n\nHow to begin.\n\n## Set up\n\nRun make install first.\n\n## Use\n\nRun make serve then."
TYPES = {"md": "text/markdown", "html": "text/html", "txt": "text/plain", "rst": "text/x-rst"}


class Home:
    """A home whose bronze is written row by row; `land` also lets validate accept the batch, unless told otherwise."""

    def __init__(self, settings):
        self.settings, self.root, self.batch = settings, settings.lake_root, 0
        self.landing = LandingZone(settings.landing_root)

    def land(self, source_uri, content=None, change="fetched", accepted=True, **facts):
        self.batch += 1
        raw = content.encode() if isinstance(content, str) else content
        envelope = make_envelope(source_uri, change, raw, fetched_at=at(self.batch), **facts)
        if raw is not None:
            mime_type = TYPES[source_uri.rsplit(".", 1)[1]]
            envelope = replace(envelope, landing_uri=self.landing.put_object(raw), mime_type=mime_type)
        write_rows(self.root, BRONZE_DOCUMENTS, [make_bronze_row(envelope, landing_batch=self.batch)])
        if accepted:
            self.accept(self.batch)

    def accept(self, batch):
        recorded_run("validate", lambda *_: StepResult("validate", "ok", "rows", watermark=batch), self.settings, "v")

    def state(self, spec, *columns):
        rows = read.state(self.root, spec, columns=columns or None).to_pylist()
        return sorted(rows, key=str)

    def texts(self):
        return {row["text"] for row in self.state(SILVER_CHUNKS, "text")}

    def rows(self, spec):
        return read.query(self.root, "SELECT * FROM t", t=spec).num_rows

    def versions(self):
        return {spec.name: table_version(self.root, spec) for spec in SILVER}


@pytest.fixture
def made(settings):
    return Home(settings)


def counts(result):
    return result.rows_in, result.accepted, result.unchanged, result.quarantined, result.written


def test_documents_become_text_chunks_stats_and_access(spark, made):
    made.land("guide.md", GUIDE, acl=("staff",))
    made.land("page.html", "<html lang='de'><title>Seite</title><p>Ein Absatz.</html>")
    result = run(made.settings, "run-1")
    assert (result.status, result.unit) == ("ok", "documents")
    assert counts(result) == (2, 2, 0, 0, 2 + 2 + 2 + 4)
    guide = document_id("notes", "guide.md")
    documents = {row["source_uri"]: row for row in made.state(SILVER_DOCUMENTS)}
    text = documents["guide.md"]["text"]
    assert text == GUIDE.replace("# ", "").replace("#", "")
    assert (documents["guide.md"]["title"], documents["guide.md"]["parser"]) == ("Guide", "markdown")
    assert (documents["page.html"]["title"], documents["page.html"]["language"]) == ("Seite", "de")
    assert {row["event_timestamp"] for row in documents.values()} == {at(1), at(2)}
    chunks = sorted(
        (row for row in made.state(SILVER_CHUNKS) if row["document_id"] == guide), key=lambda row: row["ordinal"]
    )
    assert [row["heading_path"] for row in chunks] == ["Guide", "Guide > Set up", "Guide > Use"]
    assert all(row["text"] == text[row["char_start"] : row["char_end"]] for row in chunks)
    (stats,) = (row for row in made.state(DOCUMENT_STATS) if row["document_id"] == guide)
    assert (stats["chunk_count"], stats["char_count"], stats["change_count"]) == (3, len(text), 0)
    assert stats["token_count"] == sum(row["token_count"] for row in chunks)
    access = {row["document_id"]: (row["acl"], row["event_timestamp"]) for row in made.state(DOCUMENT_ACCESS)}
    assert access[guide] == (["staff"], at(1))
    assert result.tables_written == made.versions()


def test_a_rerun_writes_nothing_and_starts_no_jvm(spark, made, home):
    made.land("guide.md", GUIDE)
    run(made.settings, "run-1")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    script = (
        "import sys; from ragstone.runtime.settings import load_settings\n"
        "from spark_jobs.preprocess_documents import run\n"
        "result = run(load_settings(), 'run-2')\n"
        "print(result.status, result.rows_in, result.unchanged, result.written, 'pyspark' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"RAGSTONE_HOME": str(home)}
    )
    assert done.stdout.split() == ["unchanged", "1", "1", "0", "False"]
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_an_edit_writes_only_chunks_that_differ_and_moved_ones_keep_their_ids(spark, made):
    made.land("guide.md", GUIDE)
    made.land("other.md", "# Other\n\nStays as it is.")
    run(made.settings, "run-1")
    before = {row["text"]: row for row in made.state(SILVER_CHUNKS)}
    made.land("guide.md", GUIDE.replace("How to begin.", "How to begin well."))
    result = run(made.settings, "run-2")
    # One chunk new, one ended, two moved; the document and its stats.
    assert counts(result) == (2, 1, 1, 0, 4 + 1 + 1)
    after = {row["text"]: row for row in made.state(SILVER_CHUNKS)}
    moved = "Use\n\nRun make serve then."
    assert after[moved]["chunk_id"] == before[moved]["chunk_id"]
    assert after[moved]["char_start"] == before[moved]["char_start"] + len(" well")
    assert after[moved]["event_timestamp"] == at(3)
    assert after.keys() - before.keys() == {"Guide\n\nHow to begin well."}
    assert before.keys() - after.keys() == {"Guide\n\nHow to begin."}
    assert {row["change_count"] for row in made.state(DOCUMENT_STATS)} == {0, 1}


def test_a_document_that_ends_leaves_tombstones_in_every_table_and_comes_back_when_restored(spark, made):
    made.land("guide.md", GUIDE)
    run(made.settings, "run-1")
    living = {row["chunk_id"] for row in made.state(SILVER_CHUNKS)}
    made.land("guide.md", change="deleted", accepted=False)
    result = run(made.settings, "run-2")
    assert counts(result) == (1, 1, 0, 0, 3 + 1 + 1 + 1)
    assert all(made.state(spec) == [] for spec in SILVER)
    newest = read.newest_rows(made.root, SILVER_CHUNKS).to_pylist()
    assert {row["chunk_id"] for row in newest} == living
    empty = set(SILVER_CHUNKS.column_names) - {"chunk_id", "active", "event_timestamp", "created_timestamp", "run_id"}
    assert all(row[name] is None for row in newest for name in empty)
    assert counts(run(made.settings, "run-3")) == (1, 0, 1, 0, 0)
    made.land("guide.md", GUIDE, change="restored")
    assert counts(run(made.settings, "run-4")) == (1, 1, 0, 0, 3 + 1 + 1 + 1)
    assert {row["chunk_id"] for row in made.state(SILVER_CHUNKS)} == living


def test_content_waits_for_validate_and_revocations_do_not(spark, made):
    made.land("guide.md", "One version.", acl=("public",))
    run(made.settings, "run-1")
    made.land("guide.md", "Another version.", acl=("staff",), accepted=False)
    assert counts(run(made.settings, "run-2")) == (1, 1, 0, 0, 1)
    assert made.texts() == {"One version."}
    assert [row["acl"] for row in made.state(DOCUMENT_ACCESS, "acl")] == [["staff"]]
    made.accept(2)
    run(made.settings, "run-3")
    assert made.texts() == {"Another version."}


def test_what_cannot_be_read_is_set_aside_and_its_neighbours_arrive(spark, made, home, caplog):
    made.land("good.md", "# Good\n\nText.")
    made.land("bomb.html", "<div>" * 1_000)
    made.land("broken.txt", "gut \u00fc\u00e4\u00f6 und".encode() + b"\xc3 \xff")
    made.land("blank.md", "<!-- nothing to see -->")
    made.land("gone.md", "Its bytes are lost.")
    (home / "landing" / make_envelope("gone.md", content=b"Its bytes are lost.").landing_uri).unlink()
    result = run(made.settings, "run-1")
    assert counts(result)[:4] == (5, 2, 0, 3)
    entries = {row["document_id"]: row["reason"] for row in quarantine.open_entries(made.root).to_pylist()}
    names = {name: document_id("notes", name) for name in ("bomb.html", "broken.txt", "gone.md", "good.md", "blank.md")}
    assert "depth 501" in entries[names["bomb.html"]]
    assert "broken UTF-8" in entries[names["broken.txt"]]
    assert "landing object" in entries[names["gone.md"]]
    assert made.texts() == {"Good\n\nText."}
    warnings = [str(record.msg) for record in caplog.records if "gave no chunk" in str(record.msg)]
    assert ["blank.md" in warning for warning in warnings] == [True]
    opened = {row["document_id"] for row in made.state(DOCUMENT_ACCESS)}
    assert opened == {names["good.md"], names["blank.md"]}
    with (home / "logs/chunks-run-1.csv").open(encoding="utf-8") as file:
        assert {row["source_uri"]: row["chunk_count"] for row in csv.DictReader(file)} == {
            "good.md": "1",
            "blank.md": "0",
        }
    assert counts(run(made.settings, "run-2")) == (2, 0, 2, 0, 0)


def test_a_bad_version_leaves_the_last_good_one_alive_until_a_better_one_comes(spark, made):
    made.land("page.html", "<p>Good.")
    run(made.settings, "run-1")
    made.land("page.html", "<div>" * 1_000)
    assert counts(run(made.settings, "run-2"))[:4] == (1, 0, 0, 1)
    assert made.texts() == {"Good."}
    assert len(made.state(DOCUMENT_ACCESS)) == 1
    made.land("page.html", "<p>Better.")
    assert counts(run(made.settings, "run-3"))[:4] == (1, 1, 0, 0)
    assert made.texts() == {"Better."}
    assert quarantine.open_entries(made.root).num_rows == 0


@pytest.mark.parametrize("table", [DOCUMENT_STATS, SILVER_DOCUMENTS])
def test_a_run_that_dies_before_a_write_is_made_good_by_the_next(spark, made, monkeypatch, table):
    made.land("guide.md", GUIDE)
    writes = {lake: lake.append, document_batch: document_batch.append_rows}

    def dying(write, position):
        def write_unless_due(*arguments):
            if arguments[position] is table:
                raise ConnectionRefusedError("the JVM is gone")
            return write(*arguments)

        return write_unless_due

    monkeypatch.setattr(lake, "append", dying(writes[lake], 2))
    monkeypatch.setattr(document_batch, "append_rows", dying(writes[document_batch], 1))
    with pytest.raises(ConnectionRefusedError):
        run(made.settings, "run-1")
    assert made.state(SILVER_DOCUMENTS) == []
    assert made.state(DOCUMENT_ACCESS) == []
    monkeypatch.undo()
    run(made.settings, "run-2")
    assert [made.rows(spec) for spec in SILVER] == [1, 1, 3, 1]
    assert len(made.state(SILVER_CHUNKS)) == 3


def test_the_same_bronze_version_gives_new_work_when_another_chunker_is_set(spark, made, home):
    made.land("long.txt", "\n\n".join(f"Paragraph {number} says something of its own." for number in range(60)))
    run(made.settings, "run-1")
    coarse = made.rows(SILVER_CHUNKS)
    finer = load_settings(home=home, chunking={"max_tokens": 60, "overlap_tokens": 0})
    result = run(finer, "run-2")
    assert result.accepted == 1
    chunks = made.state(SILVER_CHUNKS)
    assert len(chunks) > coarse
    assert len({row["chunker_hash"] for row in chunks}) == 1
    assert max(row["token_count"] for row in chunks) <= 60
    assert run(finer, "run-3").status == "unchanged"


def test_rows_are_committed_with_the_bronze_version_they_come_from(spark, made):
    made.land("guide.md", GUIDE)
    task = document_task.find_task(made.settings, "preprocess")
    app_id, version = task.transaction(made.root, SILVER_CHUNKS)
    run(made.settings, "run-1")
    assert version == table_version(made.root, BRONZE_DOCUMENTS)
    assert all(task.transaction(made.root, spec) is None for spec in (SILVER_CHUNKS, SILVER_DOCUMENTS, DOCUMENT_STATS))
    assert app_id.startswith("preprocess:")


def test_chunks_that_fail_the_gate_stop_the_run_but_not_a_revocation(spark, made):
    made.land("guide.md", "A guide.", acl=("public",))
    run(made.settings, "run-1")
    made.land("guide.md", change="access", content=b"A guide.", acl=("staff",))
    made.land("noise.txt", "\n\n\n".join(["."] * 3))
    for number in range(25):
        made.land(f"noise{number}.txt", ".")
    with pytest.raises(QualityGateError):
        run(made.settings, "run-2")
    assert made.texts() == {"A guide."}
    assert [row["acl"] for row in made.state(DOCUMENT_ACCESS, "acl")] == [["staff"]]
