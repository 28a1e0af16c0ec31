import shutil
import subprocess
import sys

import numpy as np
import pytest

from ragstone.contracts.identity import embedding_key
from ragstone.contracts.tables import SILVER_CHUNKS, embeddings
from ragstone.embedding.load import embedding_spec, load_embedder
from ragstone.lake import quarantine, read
from ragstone.lake.delta import ABSENT, table_version
from ragstone.lake.ops import last_run
from ragstone.runtime.errors import QualityGateError
from ragstone.runtime.settings import load_settings
from spark_jobs import embed_chunks
from tests.factories import at, make_chunk_row, make_tombstone, write_rows
from tests.spark_jobs.quality.frames import embedding_row


@pytest.fixture
def spec(settings):
    return embedding_spec(settings)


@pytest.fixture
def table(spec):
    return embeddings(spec.space, spec.dim)


def chunk(text, source_uri="guide.md", minute=0, **changes):
    times = {"event_timestamp": at(minute), "created_timestamp": at(minute + 0.5)}
    return make_chunk_row(text, source_uri, **{**times, **changes})


def write_chunks(settings, *rows):
    write_rows(settings.lake_root, SILVER_CHUNKS, rows)


def rows_of(settings, table, run_id):
    found = read.query(settings.lake_root, "SELECT * FROM e WHERE run_id = ?", (run_id,), e=table).to_pylist()
    return {row["chunk_id"]: row for row in found}


@pytest.mark.spark
def test_texts_are_encoded_once_copied_when_known_and_ended_when_gone(spark, settings, spec, table):
    stays, moves = chunk("A fox jumps over the lazy dog."), chunk("Redis keeps the newest row.", "b.md")
    copied, goes = chunk(stays["text"], "copy.md"), chunk("This sentence will be taken out.", "c.md")
    returns = chunk("This one was taken out and came back.", "d.md")
    end = {"event_timestamp": at(1), "created_timestamp": at(2)}
    known = embedding_row(spec, returns["text"], chunk_id=returns["chunk_id"], run_id="run-0")
    write_rows(settings.lake_root, table, [known, make_tombstone(table, returns["chunk_id"], **end, run_id="run-0")])
    write_chunks(
        settings, stays, moves, copied, goes, returns, make_tombstone(SILVER_CHUNKS, returns["chunk_id"], **end)
    )
    write_chunks(settings, {**returns, "event_timestamp": at(3), "created_timestamp": at(4)})

    first = embed_chunks.run(settings, "run-1")

    assert (first.rows_in, first.accepted, first.unchanged, first.written) == (5, 5, 0, 5)
    assert first.details["shape"] == [3, spec.dim]
    rows = rows_of(settings, table, "run-1")
    restored = rows.pop(returns["chunk_id"])
    assert (restored["event_timestamp"], restored["embedding"]) == (at(3), known["embedding"])
    assert set(rows) == {row["chunk_id"] for row in (stays, moves, copied, goes)}
    for row in (stays, moves, copied, goes):
        found = rows[row["chunk_id"]]
        assert found["embedding_key"] == embedding_key(row["text_hash"], spec.encoder_hash)
        assert (found["event_timestamp"], found["text_hash"]) == (row["event_timestamp"], row["text_hash"])
        [wanted] = load_embedder(settings).encode([row["text"]])
        np.testing.assert_array_equal(np.float32(found["embedding"]), wanted)
    assert_unchanged_without_a_jvm(settings, table, living=5)

    change = {"event_timestamp": at(5), "created_timestamp": at(6)}
    write_chunks(
        settings,
        {**moves, "char_start": 3, "char_end": 3 + len(moves["text"]), **change},
        make_tombstone(SILVER_CHUNKS, goes["chunk_id"], **change),
        chunk(moves["text"], "e.md", minute=5),
    )
    second = embed_chunks.run(settings, "run-2")

    assert (second.rows_in, second.accepted, second.unchanged) == (6, 2, 4)
    assert second.details["texts_encoded"] == 0
    rows = rows_of(settings, table, "run-2")
    copy = rows.pop(chunk(moves["text"], "e.md")["chunk_id"])
    assert copy["embedding"] == rows_of(settings, table, "run-1")[moves["chunk_id"]]["embedding"]
    [(ended, tombstone)] = rows.items()
    assert (ended, tombstone["active"], tombstone["event_timestamp"]) == (goes["chunk_id"], False, at(5))
    assert {name for name, value in tombstone.items() if value is not None} == {
        *("chunk_id", "active", "event_timestamp", "created_timestamp", "run_id")
    }
    assert min(row["created_timestamp"] for row in (copy, tombstone)) > restored["created_timestamp"]


def assert_unchanged_without_a_jvm(settings, table, living):
    before = table_version(settings.lake_root, table)
    code = (
        "import sys; from spark_jobs import embed_chunks as job\n"
        f"code = job.main(['--home', {str(settings.home)!r}])\n"
        "assert 'pyspark' not in sys.modules\n"
        "sys.exit(code)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    run = last_run(settings.lake_root, "embed")
    assert (run["status"], run["rows_in"], run["unchanged"], run["written"]) == ("unchanged", living, living, 0)
    assert table_version(settings.lake_root, table) == before


def with_rule(settings, kind, rule):
    """Return settings with one more rule for embeddings."""
    conf = settings.home.parent / f"conf-{kind}"
    shutil.copytree(settings.conf, conf)
    path = conf / "quality" / f"silver.embeddings.{kind}.dqdl"
    path.write_text(path.read_text().replace("Rules = [", f"Rules = [ {rule},"))
    return load_settings(home=settings.home, conf=conf)


@pytest.mark.spark
def test_a_failed_gate_appends_nothing_and_a_rejected_vector_waits_until_it_is_resolved(spark, settings, table):
    good, bad = chunk("A good text."), chunk("A bad text.")
    write_chunks(settings, good, bad)
    with pytest.raises(QualityGateError):
        embed_chunks.run(with_rule(settings, "gate", "RowCount > 1000"), "run-1")
    assert table_version(settings.lake_root, table) == ABSENT

    strict = with_rule(settings, "rows", f'ColumnValues "chunk_id" not in ["{bad["chunk_id"]}"]')
    first = embed_chunks.run(strict, "run-2")
    assert (first.accepted, first.quarantined, first.written) == (1, 1, 1)
    assert set(rows_of(settings, table, "run-2")) == {good["chunk_id"]}
    [entry] = quarantine.open_entries(settings.lake_root, "embed").to_pylist()
    assert (entry["item_key"], entry["document_id"]) == (bad["chunk_id"], bad["document_id"])
    assert embed_chunks.run(strict, "run-3").status == "unchanged"

    # The chunks are at the version that was committed: Delta would skip a second append under its transaction.
    quarantine.resolve(settings.lake_root, [entry["entry_id"]], "run-4")
    last = embed_chunks.run(settings, "run-4")
    assert (last.accepted, set(rows_of(settings, table, "run-4"))) == (1, {bad["chunk_id"]})
