"""Block, quarantine, warn; and the rules of one source beside those of its table."""

import random
import shutil

import pytest

from ragstone.contracts.identity import document_id
from ragstone.contracts.tables import QUALITY_RESULTS, SILVER_CHUNKS
from ragstone.lake import quarantine, read
from ragstone.lake.quality_reports import read_report
from ragstone.runtime.errors import QualityGateError
from ragstone.runtime.settings import load_settings
from spark_jobs.quality.audit import audit_candidates
from tests.factories import make_chunk_row
from tests.spark_jobs.quality.frames import frame_of

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
