from datetime import UTC, datetime, timedelta

import pytest

from ragstone.contracts.tables import QUALITY_METRICS, QUALITY_RESULTS
from ragstone.lake import read
from ragstone.lake.quality_reports import (
    QualityReport,
    RuleOutcome,
    list_reports,
    read_report,
    record_report,
    write_report,
)
from ragstone.runtime.errors import ContractError, NotFoundError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_report(run_id="run-1", recorded_at=NOON, verdict="blocked"):
    return QualityReport(
        run_id=run_id,
        step="preprocess",
        dataset="silver.chunks",
        verdict=verdict,
        rows=3,
        rejected=1,
        table_version=-1,
        ruleset_hash="1" * 32,
        recorded_at=recorded_at,
        seconds=0.5,
        engine={"spark": "3.5.9"},
        rules=(
            RuleOutcome("gate", 'Mean "token_count" >= 3', "failed", reason="Value: 1.0"),
            RuleOutcome("row", 'ColumnValues "token_count" > 0', "failed", 1, "Value: 0.0"),
            RuleOutcome("row", 'IsUnique "chunk_id"', "passed"),
        ),
        metrics={"Column.token_count.Mean": 1.0, "Column.token_count.Minimum": float("nan")},
    )


def test_a_report_reads_back_as_it_was_written(tmp_path):
    path = write_report(tmp_path, make_report())
    assert path.name == "run-1-silver.chunks.json"
    found = read_report(tmp_path, "run-1-silver.chunks")
    assert found.metrics == {"Column.token_count.Mean": 1.0, "Column.token_count.Minimum": None}
    assert found.failed_gate_rules == ('Mean "token_count" >= 3',)
    assert (found.rules, found.recorded_at) == (make_report().rules, NOON)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_reports_are_listed_newest_first_and_by_run(tmp_path):
    for day, run_id in ((1, "run-1"), (3, "run-3"), (2, "run-2")):
        write_report(tmp_path, make_report(run_id, NOON + timedelta(days=day)))
    assert [report.run_id for report in list_reports(tmp_path)] == ["run-3", "run-2", "run-1"]
    assert [report.run_id for report in list_reports(tmp_path, "run-2")] == ["run-2"]
    assert list_reports(tmp_path / "none") == []


@pytest.mark.parametrize("name", ["run-2-silver.chunks", "../run-1-silver.chunks", ""])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    write_report(tmp_path, make_report())
    with pytest.raises(NotFoundError):
        read_report(tmp_path / "reports", name)


def test_a_broken_report_is_named(tmp_path):
    path = write_report(tmp_path, make_report())
    path.write_text("{")
    with pytest.raises(ContractError, match=path.name):
        list_reports(tmp_path)


def test_outcomes_and_metrics_go_to_the_ops_tables(settings):
    record_report(settings, make_report())
    record_report(settings, make_report("run-2", verdict="passed"))
    assert len(list_reports(settings.reports_root)) == 2
    results = read.query(settings.lake_root, "SELECT * FROM r WHERE run_id = 'run-1' ORDER BY rule", r=QUALITY_RESULTS)
    rules = [(row["kind"], row["outcome"], row["failed_rows"], row["reason"]) for row in results.to_pylist()]
    assert rules == [
        ("row", "failed", 1, "Value: 0.0"),
        ("row", "passed", 0, None),
        ("gate", "failed", 0, "Value: 1.0"),
    ]
    metrics = read.query(settings.lake_root, "SELECT * FROM m ORDER BY run_id", m=QUALITY_METRICS).to_pylist()
    assert [(row["metric"], row["value"], row["accepted"]) for row in metrics] == [
        ("Column.token_count.Mean", 1.0, False),
        ("Column.token_count.Mean", 1.0, True),
    ]
