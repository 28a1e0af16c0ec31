"""Block, quarantine, warn; and the rules of one source beside those of its table."""

import math
import random
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import QUALITY_RESULTS, SILVER_CHUNKS, SILVER_DOCUMENTS, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake import quarantine, read
from ragstone.lake.metric_history import anomaly
from ragstone.lake.ops import append_quality_metrics
from ragstone.lake.quality_reports import read_report
from ragstone.runtime.errors import QualityGateError
from ragstone.runtime.settings import load_settings
from spark_jobs.embedding_batch import living_chunks as living_in_spark
from spark_jobs.embeddings_here import living_chunks
from spark_jobs.quality.audit import audit_candidates
from tests.factories import make_chunk_row, make_document_row, write_rows
from tests.spark_jobs.quality.frames import embedding_row, frame_of

pytestmark = pytest.mark.spark

WIKI_ROWS = """# Pages of the wiki are longer, and may have any number of tokens up to the encoder's window.
# without: ColumnValues "token_count" > 0
Rules = [ ColumnValues "token_count" in [0, 30] ]
"""
WIKI_WARN = 'Rules = [ Mean "token_count" >= 1000 ]'
MENU = "Home | Products | Contact"


@pytest.fixture
def ruled(settings, home, tmp_path):
    """Settings with rules for the source `wiki`, and impossible ones for a source that nothing comes from."""
    conf = tmp_path / "conf"
    shutil.copytree(settings.conf, conf)
    wiki, silent = conf / "quality/sources/wiki", conf / "quality/sources/silent"
    wiki.mkdir(parents=True)
    silent.mkdir()
    (wiki / "silver.chunks.rows.dqdl").write_text(WIKI_ROWS)
    (wiki / "silver.chunks.warn.dqdl").write_text(WIKI_WARN)
    (silent / "silver.chunks.gate.dqdl").write_text("Rules = [ RowCount > 1000000 ]")
    return load_settings(home=home, conf=conf)


def words(seed, count=30):
    maker = random.Random(seed)
    return " ".join(f"{maker.choice('bcdfgkmprst')}{maker.randrange(10_000)}" for _ in range(count))


def day(number):
    return datetime(2026, 1, 1 + number, tzinfo=UTC)


def documents(spark, by_source):
    rows = [(document_id("notes", uri), source, "en") for source, uris in by_source.items() for uri in uris]
    return spark.createDataFrame(rows, "document_id string, source string, language string")


def test_a_source_has_its_own_rules_and_a_warning_stops_nothing(spark, ruled):
    wiki = [
        make_chunk_row(words(100 + place), f"w{place}.md", token_count=count) for place, count in enumerate((0, 30, 7))
    ]
    text = words("twin", 60)
    notes = [
        make_chunk_row(f"{MENU}\n{words(place)}", f"n{place}.md", token_count=7 if place else 0) for place in range(20)
    ]
    broken = "cafÃ© " * 20
    doubles = [
        make_chunk_row(text, "n20.md"),
        make_chunk_row(f"{text} more", "n21.md"),
        make_chunk_row(broken, "n22.md"),
    ]
    uris = {"wiki": [f"w{place}.md" for place in range(3)], "notes": [f"n{place}.md" for place in range(23)]}
    rows = [*wiki, *notes, *doubles]

    outcome = audit_candidates(
        spark,
        ruled,
        "run-1",
        "preprocess",
        SILVER_CHUNKS,
        frame_of(spark, SILVER_CHUNKS, rows),
        documents(spark, uris),
        {"chunks_per_document": 1.5, "shrunk_share": 0.4},
    )

    # The first of the notes has no token, which the wiki may; the third of the wiki has seven, which the notes may.
    rejected = {row["item_key"]: row["failed_rules"] for row in quarantine.open_entries(ruled.lake_root).to_pylist()}
    exempt = "ColumnValues \"token_count\" > 0 where \"coalesce(source, '') not in ('wiki')\""
    own = 'ColumnValues "token_count" in [0,30] where "source = \'wiki\'"'
    assert rejected == {notes[0]["chunk_id"]: [exempt], wiki[2]["chunk_id"]: [own]}
    assert outcome.accepted.count() == len(rows) - 2
    report = read_report(ruled.reports_root, "run-1-silver.chunks")
    assert report.verdict == "passed"
    assert {(rule.severity, rule.rule) for rule in report.warnings} == {
        ("warn", 'Mean "token_count" >= 1000 where "source = \'wiki\'"'),
        ("warn", 'ColumnValues "mojibake_share" <= 0.2'),
        ("warn", '(RowCount < 20) OR (Mean "mojibake_share" <= 0.005)'),
        ("warn", '(Completeness "shrunk_share" < 1) OR (Mean "shrunk_share" <= 0.1)'),
    }
    assert report.metrics["Column.near_duplicate.Mean"] == pytest.approx(2 / 26)
    # Twenty chunks have the menu, which is the same share of each but for the length of its words.
    shares = sum(len(MENU) / (len(row["text"]) - 1) for row in notes) / 26
    assert report.metrics["Column.boilerplate_share.Mean"] == pytest.approx(shares)
    assert report.metrics["Column.chunks_per_document.Mean"] == 1.5
    assert report.metrics["Column.token_count.Mean where source = 'wiki'"] == pytest.approx(37 / 3)
    assert report.metrics["Column.token_count.Mean"] < 30
    kinds = read.query(ruled.lake_root, "SELECT DISTINCT kind FROM r ORDER BY kind", r=QUALITY_RESULTS)
    assert kinds["kind"].to_pylist() == ["anomaly", "gate", "row", "warn"]


def test_the_gate_of_a_source_blocks_the_batch_when_the_source_is_in_it(spark, ruled):
    rows = [make_chunk_row()]
    candidates = frame_of(spark, SILVER_CHUNKS, rows)
    with pytest.raises(QualityGateError) as blocked:
        audit_candidates(
            spark, ruled, "run-1", "preprocess", SILVER_CHUNKS, candidates, documents(spark, {"silent": ["guide.md"]})
        )
    assert blocked.value.failed_rules == ("RowCount > 1000000 where \"source = 'silent'\"",)


def test_a_metric_out_of_line_warns_and_what_is_not_measured_does_not(spark, home):
    settings = load_settings(home=home, quality={"repetition": False})
    history = [
        {"run_id": f"run-{at}", "dataset": "silver.chunks", "metric": "Column.token_count.Mean", "accepted": True}
        for at in range(5)
    ]
    values = [{**row, "value": 100.0 + at, "recorded_at": day(at)} for at, row in enumerate(history)]
    append_quality_metrics(settings.lake_root, values)
    rows = [make_chunk_row("the same words in every one", f"n{place}.md", token_count=30) for place in range(20)]
    uris = {"notes": [f"n{place}.md" for place in range(20)]}
    spoilt = [{**row, "text": f"{row['text']} {place}", "text_hash": f"{place:032x}"} for place, row in enumerate(rows)]
    spoilt = [{**row, "char_end": len(row["text"])} for row in spoilt]

    candidates = frame_of(spark, SILVER_CHUNKS, spoilt)
    audit_candidates(spark, settings, "run-9", "preprocess", SILVER_CHUNKS, candidates, documents(spark, uris))

    report = read_report(settings.reports_root, "run-9-silver.chunks")
    assert report.verdict == "passed"
    # Neither near duplicates nor the counts of chunks are known, and no rule about them warns.
    assert [(rule.kind, rule.rule) for rule in report.warnings] == [
        ("warn", '(RowCount < 20) OR (Mean "visible_length" >= 40)'),
        ("anomaly", "Column.token_count.Mean is in line with earlier runs"),
    ]
    assert report.warnings[1].reason == str(anomaly(30.0, [100.0, 101.0, 102.0, 103.0, 104.0]))
    assert not {"Column.near_duplicate.Mean", "Column.chunks_per_document.Mean"} & report.metrics.keys()


def test_the_mean_of_the_vectors_is_held_against_that_of_the_last_accepted_run(spark, settings):
    spec = embedding_spec(settings)
    table = embeddings(spec.space, spec.dim)
    first = [embedding_row(spec, f"first {axis}", axis) for axis in range(100)]
    # A large part in common and the rest each its own.
    leaning = [0.9 * np.eye(spec.dim)[0] + np.sqrt(0.19) * np.eye(spec.dim)[100 + at] for at in range(100)]
    second = [
        embedding_row(spec, f"second {at}", embedding=[float(element) for element in vector])
        for at, vector in enumerate(leaning)
    ]
    for run, rows in (("run-1", first), ("run-2", second)):
        parents = spark.createDataFrame([(row["chunk_id"],) for row in rows], "chunk_id string")
        audit_candidates(spark, settings, run, "embed", table, frame_of(spark, table, rows), parents)

    before, now = (read_report(settings.reports_root, f"{run}-{table.name}") for run in ("run-1", "run-2"))
    assert "Column.mean_drift.Mean" not in before.metrics
    assert before.warnings == ()
    # The first 32 of the means are 0.01 each, then 0.9 and 0.
    drift = math.sqrt(spec.dim / 32 * (0.89**2 + 31 * 0.01**2))
    assert now.metrics["Column.mean_drift.Mean"] == pytest.approx(drift, rel=1e-4)
    assert [rule.rule for rule in now.warnings] == ['(Completeness "mean_drift" < 1) OR (Mean "mean_drift" <= 0.5)']


def test_rules_of_a_source_reach_its_vectors(spark, ruled):
    uris = {"wiki": "w.md", "notes": "n.md"}
    chunks = {source: make_chunk_row(source, uri) for source, uri in uris.items()}
    write_rows(ruled.lake_root, SILVER_CHUNKS, list(chunks.values()))
    rows = [make_document_row(source, uri, source=source) for source, uri in uris.items()]
    write_rows(ruled.lake_root, SILVER_DOCUMENTS, rows)
    wanted = {(row["chunk_id"], source) for source, row in chunks.items()}
    ids = [row["chunk_id"] for row in chunks.values()]
    assert living_chunks(ruled, ids).column_names == ["chunk_id"]
    assert living_in_spark(spark, ruled).columns == ["chunk_id"]

    (ruled.conf / "quality/sources/wiki/silver.embeddings.warn.dqdl").write_text("Rules = [ RowCount > 1 ]")

    assert {(row["chunk_id"], row["source"]) for row in living_chunks(ruled, ids).to_pylist()} == wanted
    assert {(row.chunk_id, row.source) for row in living_in_spark(spark, ruled).collect()} == wanted
