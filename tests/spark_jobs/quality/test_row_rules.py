"""Each row rule catches the row that breaks it, names itself in quarantine, and leaves the good rows alone."""

from datetime import UTC, datetime, timedelta

import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS, QUALITY_RESULTS, SILVER_CHUNKS, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.lake import quarantine, read
from ragstone.lake.quality_reports import read_report
from ragstone.runtime.settings import load_settings
from spark_jobs.quality.audit import audit_candidates
from tests.factories import make_bronze_row, make_chunk_row, make_envelope, make_tombstone
from tests.spark_jobs.quality.frames import embedding_row, frame_of

pytestmark = pytest.mark.spark


def audited(spark, settings, spec, rows, parents=None):
    return audit_candidates(spark, settings, "run-1", "test", spec, frame_of(spark, spec, rows), parents)


def rules_by_item(settings):
    return {
        row["item_key"]: set(row["failed_rules"]) for row in quarantine.open_entries(settings.lake_root).to_pylist()
    }


def idle_rules(outcome):
    """Return the row rules that caught nothing: a new rule needs a bad row here."""
    report = read_report(outcome.report.parent, outcome.report.stem)
    return [rule.rule for rule in report.rules if rule.kind == "row" and rule.outcome == "passed"]


def bad_vectors(spec):
    nan, dim = float("nan"), spec.dim
    unit = [1.0] + [0.0] * (dim - 1)
    return {
        "nan": ({"embedding": [nan, *unit[1:]]}, {"bad_elements", "l2_norm"}),
        "infinite": ({"embedding": [float("inf"), *unit[1:]]}, {"bad_elements", "l2_norm"}),
        "null element": ({"embedding": [None, *unit[1:]]}, {"bad_elements", "l2_norm"}),
        "no vector": ({"embedding": None}, {"vector_dim", "bad_elements", "l2_norm"}),
        "short": ({"embedding": unit[:-1]}, {"vector_dim"}),
        "another dim": ({"dim": dim + 1}, {"dim"}),
        "too long": ({"embedding": [1.01, *unit[1:]]}, {"l2_norm"}),
        "too small": ({"embedding": [0.99, *unit[1:]]}, {"l2_norm"}),
        "another model": ({"model_hash": "0" * 64}, {"model_hash"}),
        "another key": ({"embedding_key": "0" * 32}, {"key_error"}),
    }


def test_vectors(spark, settings):
    spec = embedding_spec(settings)
    table = embeddings(spec.space, spec.dim)
    good = [embedding_row(spec, f"good {axis}", axis) for axis in range(3)]
    bad = {
        embedding_row(spec, name)["chunk_id"]: (embedding_row(spec, name, **changes), rules)
        for name, (changes, rules) in bad_vectors(spec).items()
    }
    orphan, twice = embedding_row(spec, "orphan"), embedding_row(spec, "twice")
    tombstone = make_tombstone(table, "e" * 32)
    rows = [*good, *(row for row, _ in bad.values()), orphan, twice, twice, tombstone]
    chunks = [row["chunk_id"] for row in rows if row is not orphan]
    parents = spark.createDataFrame([(chunk,) for chunk in chunks], "chunk_id string")

    outcome = audited(spark, settings, table, rows, parents)

    accepted = {row.chunk_id for row in outcome.accepted.collect()}
    assert accepted == {row["chunk_id"] for row in good} | {tombstone["chunk_id"]}
    assert (outcome.rows, outcome.rejected) == (len(rows) - 1, len(bad) + 3)
    assert idle_rules(outcome) == []
    found = {item: {rule.split('"')[1] for rule in rules} for item, rules in rules_by_item(settings).items()}
    wanted = {item: rules for item, (_, rules) in bad.items()}
    assert found == {**wanted, orphan["chunk_id"]: {"orphan"}, twice["chunk_id"]: {"chunk_id"}}


BAD_CHUNKS = {
    "too many tokens": ({"token_count": 231}, {'ColumnValues "token_count" <= 230'}),
    "no tokens": ({"token_count": 0}, {'ColumnValues "token_count" > 0'}),
    "uncounted": ({"token_count": None}, {'ColumnValues "token_count" > 0', 'ColumnValues "token_count" <= 230'}),
    "a longer span": ({"char_end": 99}, {'ColumnValues "span_error" in [0]'}),
    "   ": ({}, {'ColumnValues "visible_length" > 0'}),
    "a\u200bhidden space": ({}, {'ColumnValues "control_count" in [0]'}),
    "a bell \x07": ({}, {'ColumnValues "control_count" in [0]'}),
    "no hash": ({"text_hash": None}, {'ColumnValues "text_hash" matches "^[0-9a-f]{32}$"'}),
    "no id": ({"chunk_id": "not a hash"}, {'ColumnValues "chunk_id" matches "^[0-9a-f]{32}$"'}),
    "no document": ({"document_id": "f" * 32}, {'ColumnValues "orphan" in [0]'}),
}


def test_chunks(spark, settings):
    good = [make_chunk_row(text, token_count=count) for text, count in (("One\nline.", 1), ("long", 230))]
    bad = {text: make_chunk_row(text, **{"token_count": 3, **changes}) for text, (changes, _) in BAD_CHUNKS.items()}
    twice = make_chunk_row("twice")
    tombstone = make_tombstone(SILVER_CHUNKS, "e" * 32)
    parents = spark.createDataFrame([(twice["document_id"],)] * 2, "document_id string")

    outcome = audited(spark, settings, SILVER_CHUNKS, [*good, *bad.values(), twice, twice, tombstone], parents)

    accepted = {row.chunk_id for row in outcome.accepted.collect()}
    assert accepted == {row["chunk_id"] for row in good} | {tombstone["chunk_id"]}
    assert idle_rules(outcome) == []
    wanted = {bad[text]["chunk_id"]: rules for text, (_, rules) in BAD_CHUNKS.items()}
    assert rules_by_item(settings) == {**wanted, twice["chunk_id"]: {'IsUnique "chunk_id"'}}
    entry = next(
        row for row in quarantine.open_entries(settings.lake_root).to_pylist() if row["item_key"] == "not a hash"
    )
    assert entry["document_id"] == twice["document_id"]
    assert entry["payload_pointer"] == f"silver.documents/{twice['document_id']}[0:5]"
    assert entry["reason"] == "a row of silver.chunks broke 1 of its rules: chunk_id = not a hash"


BAD_DOCUMENTS = {
    "hash.md": ({"content_hash": "short"}, {'ColumnValues "content_hash" matches "^[0-9a-f]{64}$"'}),
    "empty.md": ({"size_bytes": 0}, {'ColumnValues "size_bytes" > 0'}),
    "unsized.md": ({"size_bytes": None}, {'ColumnValues "size_bytes" > 0'}),
    "kind.md": ({"mime_type": "markdown"}, {'ColumnValues "mime_type" matches "^[a-z]+/[a-z0-9.+-]+$"'}),
    "nowhere.md": ({"landing_uri": None}, {'IsComplete "landing_uri"'}),
    "tomorrow.md": ({"fetched_at": datetime.now(UTC) + timedelta(days=1)}, {'ColumnValues "seconds_ahead" < 300'}),
}


def test_documents(spark, settings):
    good = [make_bronze_row(make_envelope("good.md"), landing_batch=batch) for batch in (1, 2)]
    bad = {
        name: make_bronze_row(make_envelope(name, content=name.encode()), **changes)
        for name, (changes, _) in BAD_DOCUMENTS.items()
    }
    twice = make_bronze_row(make_envelope("twice.md"))

    outcome = audited(spark, settings, BRONZE_DOCUMENTS, [*good, *bad.values(), twice, twice])

    assert [row.source_uri for row in outcome.accepted.collect()] == ["good.md"] * 2
    assert idle_rules(outcome) == []
    wanted = {bad[name]["document_id"]: rules for name, (_, rules) in BAD_DOCUMENTS.items()}
    assert rules_by_item(settings) == {**wanted, twice["document_id"]: {'IsUnique "version_key"'}}


def test_limits_come_from_the_settings_and_the_outcomes_are_kept(spark, home):
    settings = load_settings(home=home, chunking={"max_tokens": 20})
    rows = [make_chunk_row("fits", token_count=20), make_chunk_row("does not", token_count=21)]
    parents = spark.createDataFrame([(rows[0]["document_id"],)], "document_id string")

    outcome = audited(spark, settings, SILVER_CHUNKS, rows, parents)

    assert rules_by_item(settings) == {rows[1]["chunk_id"]: {'ColumnValues "token_count" <= 20'}}
    report = read_report(settings.reports_root, "run-1-silver.chunks")
    failed = [(rule.kind, rule.rule, rule.failed_rows) for rule in report.rules if rule.outcome == "failed"]
    assert failed == [("row", 'ColumnValues "token_count" <= 20', 1)]
    assert (report.verdict, report.rows, report.rejected) == ("passed", 2, 1)
    assert report.metrics["Column.rejected.Mean"] == 0.5
    assert report.ruleset_hash == outcome.ruleset_hash
    results = read.query(
        home / "lake",
        "SELECT rule, failed_rows FROM results WHERE outcome = 'failed'",
        results=QUALITY_RESULTS,
    ).to_pylist()
    assert results == [{"rule": 'ColumnValues "token_count" <= 20', "failed_rows": 1}]
