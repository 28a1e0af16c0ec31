"""The quality commands over metrics and reports that earlier runs left; no rule is evaluated here."""

from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.lake.quality_reports import QualityReport, RuleOutcome, record_report
from ragstone.lake.quarantine import set_aside
from spark_jobs.quality.dqdl import rules_in
from tests.factories import make_chunk_row, write_rows

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
METRIC = "Column.token_count.Mean"


def audit(settings, number, value, verdict="passed", dataset="silver.chunks"):
    report = QualityReport(
        run_id=f"run-{number}",
        step="preprocess",
        dataset=dataset,
        verdict=verdict,
        rows=30,
        rejected=0,
        table_version=number,
        ruleset_hash="1" * 32,
        recorded_at=NOON + timedelta(days=number),
        seconds=0.5,
        engine={},
        rules=(RuleOutcome("gate", 'Mean "token_count" < 9 & "x" > 3', "passed"),),
        metrics={METRIC: value},
    )
    record_report(settings, report)


def audits(settings, *values, **changes):
    for number, value in enumerate(values):
        audit(settings, number, value, **changes)


def test_history_draws_a_metric_over_accepted_runs_and_judges_the_newest(command, settings):
    audits(settings, 100.0, 101.0, 99.0, 100.0, 100.0, 900.0)
    audit(settings, 7, 5.0, verdict="blocked")

    drawn = command("quality", "history", METRIC)
    assert drawn.code == 0
    assert f"{METRIC} of silver.chunks" in drawn.out
    assert "2026-01-06 12:00" in drawn.out
    assert "got 900" in drawn.out

    (told,) = command("--json", "quality", "history", METRIC).document
    assert [point["value"] for point in told["points"]] == [100.0, 101.0, 99.0, 100.0, 100.0, 900.0]
    assert told["anomaly"]["median"] == 100.0


def test_history_of_one_run_is_drawn_and_one_of_none_names_the_metrics_there_are(command, settings):
    audits(settings, 5.0)
    assert "is in line" in command("quality", "history", METRIC).out
    refused = command("--json", "quality", "history", "Column.nothing.Mean")
    assert refused.code == 1
    assert refused.document["error"]["wanted"] == METRIC
    assert command("quality", "history", METRIC, "--dataset", "bronze.documents").code == 1


def test_the_page_stands_alone_and_shows_rules_entries_and_trends(command, settings, tmp_path):
    audits(settings, *range(1, 9))
    audit(settings, 9, 400.0)
    set_aside(settings.lake_root, [Rejection("ingest", "notes", "a.md", "the item is too large: got 9")], "run-2")

    assert command("quality", "page", "--out", tmp_path / "page.html").code == 0
    text = (tmp_path / "page.html").read_text()
    assert "Mean &#34;token_count&#34; &lt; 9 &amp; &#34;x&#34; &gt; 3" in text
    assert "the item is too large" in text
    assert text.count("<polyline") == 1
    assert "got 400" in text
    assert elements(text).isdisjoint({"script", "link", "img", "iframe"})
    assert "http" not in text


def test_a_home_without_runs_has_a_page_too(command, settings):
    written = command("--json", "quality", "page").document["page"]
    assert written == str(settings.reports_root / "quality.html")
    assert "<h1>Quality</h1>" in (settings.reports_root / "quality.html").read_text()


def test_the_command_prints_a_file_of_rules(command, settings):
    write_rows(settings.lake_root, SILVER_CHUNKS, [make_chunk_row()])
    told = command("quality", "suggest", "silver.chunks")
    assert told.code == 0
    assert "RowCount > 0" in rules_in(told.out, "draft")
    assert command("--json", "quality", "suggest", "silver.chunks").document["profile"]["rows"] == 1
    assert command("quality", "suggest", "bronze.documents").code == 1
    assert command("quality", "suggest", "gold.documents").code == 1


def elements(text):
    """Return the names of all elements of a page."""
    found = set()
    parser = HTMLParser()
    parser.handle_starttag = lambda name, _: found.add(name)
    parser.feed(text)
    return found
