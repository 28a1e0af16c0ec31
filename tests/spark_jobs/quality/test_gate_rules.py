"""A batch that breaks a gate rule goes nowhere, and says why; few rows, tombstones and no rows pass."""

import json
import shutil
from pathlib import Path

import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS, QUALITY_METRICS, SILVER_CHUNKS, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake import quarantine, read
from ragstone.lake.quality_reports import read_report
from ragstone.runtime.errors import EXIT_GATE_BLOCKED, ConfigError, QualityGateError, exit_code
from ragstone.runtime.settings import load_settings
from spark_jobs.quality.audit import audit_candidates
from tests.factories import make_bronze_row, make_chunk_row, make_envelope, make_tombstone
from tests.spark_jobs.quality.frames import embedding_row, frame_of

pytestmark = pytest.mark.spark
REJECTED_SHARE = '(RowCount < 20) OR (Mean "rejected" <= 0.2)'


def audited(spark, settings, spec, rows):
    """Audit rows whose parents are all there."""
    candidates = frame_of(spark, spec, rows)
    return audit_candidates(spark, settings, "run-1", "test", spec, candidates, candidates)


def bad_documents(count):
    return [make_bronze_row(make_envelope(f"{place}.md"), size_bytes=0) for place in range(count)]


def bad_chunks(count):
    """Return chunks of one text in many documents, of two chunkers, most without a text to speak of."""
    ends = ["1" * 32, *["2" * 32] * (count - 1)]
    return [
        make_chunk_row("x", f"{place}.md", token_count=int(place == 0), chunker_hash=end)
        for place, end in enumerate(ends)
    ]


def bad_vectors(spec, count):
    """Return unlike texts that all got one vector of the wrong length."""
    short = [1.0] + [0.0] * (spec.dim - 2)
    return [embedding_row(spec, f"text {place}", embedding=short) for place in range(count)]


def bad_batches(settings, count):
    spec = embedding_spec(settings)
    return {
        BRONZE_DOCUMENTS.name: (BRONZE_DOCUMENTS, bad_documents(count)),
        SILVER_CHUNKS.name: (SILVER_CHUNKS, bad_chunks(count)),
        "embeddings": (embeddings(spec.space, spec.dim), bad_vectors(spec, count)),
    }


@pytest.mark.parametrize(
    ("dataset", "rules"),
    [
        (BRONZE_DOCUMENTS.name, {REJECTED_SHARE, '(RowCount < 20) OR (Uniqueness "content_hash" >= 0.1)'}),
        (
            SILVER_CHUNKS.name,
            {
                REJECTED_SHARE,
                'DistinctValuesCount "chunker_hash" = 1',
                '(RowCount < 20) OR (Mean "token_count" >= 3)',
                '(RowCount < 20) OR (Uniqueness "text_hash" >= 0.1)',
            },
        ),
        ("embeddings", {REJECTED_SHARE, '(RowCount < 20) OR (Mean "shared_vector" <= 0.2)'}),
    ],
)
def test_a_bad_batch_breaks_every_rule_of_its_gate(spark, settings, dataset, rules):
    spec, rows = bad_batches(settings, 20)[dataset]
    with pytest.raises(QualityGateError) as blocked:
        audited(spark, settings, spec, rows)
    assert set(blocked.value.failed_rules) == rules
    assert exit_code(blocked.value) == EXIT_GATE_BLOCKED
    report = read_report(settings.reports_root, f"run-1-{spec.name}")
    assert (report.verdict, set(report.failed_gate_rules)) == ("blocked", rules)
    assert json.loads(Path(blocked.value.report).read_text())["verdict"] == "blocked"
    # What was rejected can be looked at, and the run is no history for later ones.
    assert report.rejected == len(quarantine.open_entries(settings.lake_root)) > 0
    metrics = read.query(settings.lake_root, "SELECT DISTINCT accepted FROM m", m=QUALITY_METRICS)
    assert metrics["accepted"].to_pylist() == [False]


def test_few_bad_rows_are_set_aside_and_stop_nothing(spark, settings):
    rows = bad_documents(19)
    outcome = audited(spark, settings, BRONZE_DOCUMENTS, rows)
    assert (outcome.accepted.count(), outcome.rejected) == (0, 19)


def test_tombstones_and_empty_batches_skip_the_gate(spark, settings):
    tombstones = [make_tombstone(SILVER_CHUNKS, key * 32) for key in "ab"]
    for rows in (tombstones, []):
        outcome = audited(spark, settings, SILVER_CHUNKS, rows)
        assert (outcome.accepted.count(), outcome.rows, outcome.report) == (len(rows), 0, None)
    assert not settings.reports_root.exists()


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("gate", "Rules = [ NoSuchRule ]", "not DQDL"),
        ("rows", 'Rules = [ ColumnValues "misspelt" in [0] ]', "not measured"),
        ("gate", 'Rules = [ Mean "misspelt" > 0 ]', "not measured"),
        ("rows", 'Rules = [ Mean "token_count" > 1000 ]', "about the batch"),
        ("gate", 'Rules = [ Mean "token_count" < ${max_toekns} ]', "limits"),
    ],
)
def test_rules_that_cannot_be_applied_stop_the_step(spark, settings, home, tmp_path, kind, text, message):
    conf = tmp_path / "conf"
    shutil.copytree(settings.conf, conf)
    (conf / "quality" / f"silver.chunks.{kind}.dqdl").write_text(text)
    with pytest.raises(ConfigError, match=message):
        audited(spark, load_settings(home=home, conf=conf), SILVER_CHUNKS, [make_chunk_row()])
    assert not quarantine.open_entries(settings.lake_root).num_rows
