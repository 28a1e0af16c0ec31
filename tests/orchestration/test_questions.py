"""Questions, their reasons and their absence, asked on the command line of a small served world."""

from __future__ import annotations

import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from orchestration.why_not import PASSED, STOPPED, diagnose
from ragstone.contracts.names import PUBLIC_GROUP
from ragstone.contracts.records import Principal, Rejection
from ragstone.contracts.tables import FEEDBACK
from ragstone.features.access import delete_document
from ragstone.lake import read
from ragstone.lake.landing import LandingZone
from ragstone.lake.quality_reports import QualityReport, write_report
from ragstone.lake.quarantine import set_aside
from ragstone.runtime.settings import load_settings
from tests.factories import DAY_ZERO, at, make_envelope
from tests.serving import world

QUESTION = "How many degrees did it reach in eleven hours?"
EVERYONE = Principal("test", frozenset({PUBLIC_GROUP}))


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    from ragstone.runtime.redis_server import stop_redis

    folder = tmp_path_factory.mktemp("world")
    (folder / "notes").mkdir()
    conf = {"sources": {"notes": {"root": str(folder / "notes")}}, "abstain": world.ABSTAIN}
    (folder / "home").mkdir()
    (folder / "home/conf.yaml").write_text(yaml.safe_dump(conf))
    settings = load_settings(home=folder / "home")
    world.fill(settings)
    # Stopped before it is copied, so that the copy's server finds all that was written.
    stop_redis(settings)
    return folder / "home"


@pytest.fixture
def settings(home, filled):
    """The settings of a copy of the world, for tests that change it."""
    shutil.copytree(filled, home, dirs_exist_ok=True)
    return load_settings(home=home)


def test_ask_prints_the_answer_and_where_it_comes_from(command, settings):
    told = command("ask", QUESTION)

    assert told.code == 0
    assert "1240 degrees" in " ".join(told.out.split())
    assert "kiln.md" in told.out


def test_an_answer_asked_for_here_can_be_traced_here(command, settings):
    answer = command("--json", "ask", QUESTION).document

    traced = command("--json", "lineage", answer["answer_id"])

    assert traced.code == 0
    assert traced.document["evidence"][0]["quote_matches"] is True
    assert traced.document["evidence"][0]["bronze"]["source_uri"] == "kiln.md"
    assert command("lineage", "0" * 32).code == 1


def test_search_takes_groups_that_the_service_would_take_from_a_key(command, settings):
    question = "What is the payroll password hint?"

    hidden, shown = (command("--json", "search", question, *group).document for group in ((), ("--group", "staff")))

    assert "payroll.md" not in {hit["document"]["source_uri"] for hit in hidden["hits"]}
    assert shown["hits"][0]["document"]["source_uri"] == "payroll.md"


def test_a_past_day_is_asked_and_searched_without_index_and_online_store(command, settings):
    for part in ("index", "redis"):
        shutil.rmtree(settings.home / part)

    answer = command("--json", "ask", QUESTION, "--as-of", "2026-01-01T00:01:00Z").document
    hits = command("--json", "search", QUESTION, "--as-of", "2026-01-01T01:01:00+01:00", "-k", 1).document["hits"]

    assert "1240 degrees" in answer["answer"]
    assert [hit["document"]["source_uri"] for hit in hits] == ["kiln.md"]
    assert "as of 2026-01-01T00:01:00+00:00" in command("ask", QUESTION, "--as-of", "2026-01-01T00:01:00Z").out
    assert not command("--json", "search", QUESTION, "--as-of", "2025-12-31T00:00:00Z").document["hits"]


@pytest.mark.parametrize("command_line", [("ask", QUESTION), ("search", QUESTION), ("index", "build")])
def test_a_time_without_a_zone_is_refused(command, settings, command_line):
    told = command("--json", *command_line, "--as-of", "2026-01-01T00:01:00")

    assert told.code == 2
    assert "has no time zone" in told.document["error"]["what"]


def test_an_index_of_a_past_day_is_listed_with_its_day(command, settings):
    built = command("--json", "index", "build", "--as-of", "2026-01-01T00:01:00Z").document

    assert built["version"].startswith("as-of-20260101T000100")
    assert "2026-01-01 00:01:00" in command("index", "list").out
    assert command("index", "publish", built["version"]).code == 2


def test_why_shows_scores_drops_decision_and_timings(command, settings):
    told = command("why", "What is the payroll password hint?")

    assert told.code == 0
    for part in ("score", "forbidden", "Decision:", "threshold", "sentence_coverage", "gate"):
        assert part in told.out


@pytest.mark.parametrize("name", ["ask", "search", "why"])
@pytest.mark.parametrize(("question", "got"), [("q" * 100_000, "100,000 characters"), ("  ", "nothing")])
def test_questions_that_cannot_be_asked_are_refused_by_name(command, name, question, got):
    told = command("--json", name, question)

    assert told.code == 2
    assert told.document["error"]["got"] == got
    assert "4,000 characters" in told.document["error"]["wanted"]


def stages_of(settings, document, question=QUESTION, principal=EVERYONE, k=4):
    diagnosis = diagnose(settings, document, question, principal, k)
    assert all(stage.outcome == PASSED for stage in diagnosis.stages[:-1])
    return diagnosis, diagnosis.stages[-1]


def test_why_not_of_a_document_among_the_hits_names_its_rank(settings):
    diagnosis, last = stages_of(settings, "kiln.md")

    assert (last.name, last.outcome) == ("rank", PASSED)
    assert "rank 1" in diagnosis.verdict


def test_why_not_outranked_names_by_what(settings):
    diagnosis, last = stages_of(settings, "bees.md", k=1)

    assert (last.name, last.outcome) == ("rank", STOPPED)
    assert diagnosis.verdict.startswith("outranked")
    assert "kiln.md" in diagnosis.verdict


def test_why_not_forbidden(settings):
    diagnosis, last = stages_of(settings, "payroll.md")

    assert last.name == "gate"
    assert diagnosis.verdict.startswith("forbidden")


def test_why_not_deleted(settings):
    delete_document(settings, world.KILN.document_id, "test")

    diagnosis, last = stages_of(settings, "kiln.md")

    assert last.name == "ingest"
    assert diagnosis.verdict.startswith("deleted")
    assert diagnosis.next_step == "ragstone documents restore kiln.md"


def test_why_not_never_ingested_tells_files_of_a_source_from_others(settings):
    root = settings.sources["notes"].root
    (root / "new.md").write_text("new")

    inside, last = stages_of(settings, "new.md")
    outside, _ = stages_of(settings, "/elsewhere/new.md")

    assert last.name == "ingest"
    assert inside.next_step.startswith("ragstone run")
    assert "no source" in outside.verdict


def test_why_not_quarantined_names_step_and_reason(settings):
    envelope = make_envelope("kiln.md", content=world.KILN.text.encode())
    rejection = Rejection(
        "preprocess",
        "silver.documents",
        envelope.document_id,
        "the parser gave no text",
        document_id=envelope.document_id,
        content_hash=envelope.content_hash,
    )
    set_aside(settings.lake_root, [rejection], "run-2")

    diagnosis, last = stages_of(settings, "kiln.md")

    assert last.name == "quarantine"
    assert "by preprocess: the parser gave no text" in diagnosis.verdict
    assert diagnosis.next_step.startswith("ragstone quarantine show ")


def test_why_not_a_landed_document_that_has_not_been_through_the_gate(settings):
    LandingZone(settings.landing_root).append_batch([make_envelope("fresh.md")], "run-2")

    diagnosis, last = stages_of(settings, "fresh.md")

    assert last.name == "chunk"
    assert "not preprocessed" in diagnosis.verdict


def test_why_not_materialized(settings):
    from ragstone.runtime.redis_server import online_client

    with online_client(settings) as client:
        client.flushall()

    diagnosis, last = stages_of(settings, "kiln.md")

    assert last.name == "materialize"
    assert diagnosis.next_step == "ragstone materialize"


def test_why_not_in_the_index(settings):
    late = world.Document("late.md", ("The lighthouse keeper of Skarvik paints the lamp room every spring.",))
    world.put(settings, late)
    world.materialize.run(settings, "run-2")

    diagnosis, last = stages_of(settings, "late.md")

    assert last.name == "index"
    assert diagnosis.next_step == "ragstone index build"


def test_why_not_as_a_command(command, settings):
    told = command("--json", "why-not", "payroll.md", "payroll", "--group", "staff")

    assert told.code == 0
    assert told.document["stages"][-1] == {"name": "rank", "outcome": PASSED, "found": told.document["verdict"]}


def test_a_deleted_document_is_out_of_the_next_answer_and_restored_by_command(command, settings):
    assert command("documents", "delete", "kiln.md").code == 0

    assert "1240" not in command("ask", QUESTION).out
    assert command("documents", "restore", "kiln.md").code == 0
    assert "1240" in " ".join(command("ask", QUESTION).out.split())


def test_an_unknown_document_is_not_deleted(command, settings):
    told = command("--json", "documents", "delete", "nothing.md")

    assert told.code == 1
    assert told.document["error"]["next"] == "ragstone documents list"


def test_documents_are_listed_with_their_newest_change(command, settings):
    delete_document(settings, world.BEES.document_id, "test")

    listed = {row["source_uri"]: row["change"] for row in command("--json", "documents", "list").document}

    assert listed["bees.md"] == "deleted"
    assert listed["kiln.md"] == "fetched"


def test_training_sets_are_pulled_with_their_manifest(command, settings, tmp_path):
    labels = pa.table({"chunk_id": [world.KILN.chunk_id()], "event_timestamp": pa.array([at(60)]), "label": [1]})
    pq.write_table(labels, tmp_path / "labels.parquet")
    out = tmp_path / "set.parquet"

    told = command("--json", "training-set", "--labels", tmp_path / "labels.parquet", "--out", out)

    assert told.code == 0
    row = pq.read_table(out).to_pylist()[0]
    assert row["text"] == world.KILN.paragraphs[0]
    assert row["chunk_metadata__event_timestamp"] == DAY_ZERO
    assert (tmp_path / "set.parquet.manifest.json").exists()


def test_the_lake_and_the_online_store_agree_until_one_is_emptied(command, settings):
    from ragstone.runtime.redis_server import online_client

    assert command("features", "audit").code == 0
    with online_client(settings) as client:
        client.flushall()

    assert command("features", "audit").code == 1
    assert command("features", "rematerialize").code == 0
    assert command("features", "audit").code == 0


def test_feature_commands_tell_what_would_change_and_what_feast_needs(command, settings):
    # The registry was copied here from another home, whose lake lay elsewhere.
    changed = command("--json", "features", "diff").document

    assert {change["change"] for change in changed} == {"changed"}
    assert command("--json", "features", "apply").document == changed
    assert command("--json", "features", "diff").document == []

    printed = command("features", "env").out

    assert f"export RAGSTONE_HOME={settings.home}" in printed
    assert "export FEAST_REDIS_CONNECTION=" in printed


def test_index_commands_follow_a_version_through_its_life(command, settings):
    first = command("--json", "index", "list").document[0]["version"]
    assert command("index", "verify").code == 0
    delete_document(settings, world.BEES.document_id, "test")
    second = command("--json", "index", "build", "--no-publish").document["version"]

    assert command("index", "publish", second).code == 0
    assert command("--json", "index", "diff", first, second).document["older"] == first
    assert command("--json", "index", "rollback").document["version"] == first
    served = {row["version"]: row["current"] for row in command("--json", "index", "list").document}
    assert served == {first: True, second: False}


def test_a_broken_index_is_refused_by_name(command, settings):
    version = command("--json", "index", "list").document[0]["version"]
    vectors = next((settings.index_root / version).glob("vectors*"))
    vectors.write_bytes(vectors.read_bytes()[:-8])

    told = command("--json", "index", "verify")

    assert told.code == 1
    assert str(vectors) in told.document["error"]["where"]


def test_quarantine_is_listed_shown_retried_and_dismissed(command, settings):
    big = Rejection("ingest", "notes", "big.md", "the file is too large; got: 90 MiB")
    huge = Rejection("ingest", "notes", "huge.md", "the file is too large: got 99 MiB")
    set_aside(settings.lake_root, [big, huge], "run-2")

    told = command("--json", "quarantine", "ls").document
    entry = next(row for row in told["entries"] if row["item_key"] == "big.md")
    assert told["reasons"] == [{"step": "ingest", "reason": "the file is too large", "entries": 2}]
    assert "the file is too large" in command("quarantine", "show", entry["entry_id"][:12]).out
    assert command("--json", "quarantine", "retry", entry["entry_id"], "--by", "ann").document["retried"] is True
    told = command("--json", "quarantine", "ls").document["entries"]
    assert {row["item_key"]: row["resolution"] for row in told} == {"big.md": "retry", "huge.md": None}
    dismissing = ("quarantine", "dismiss", entry["entry_id"], "--why", "we have a smaller one", "--by", "bob")
    assert command("--json", *dismissing).document["dismissed"] is True
    assert command("--json", *dismissing).document["dismissed"] is False
    closed = command("--json", "quarantine", "show", entry["entry_id"]).document
    assert (closed["resolution"], closed["resolved_by"], closed["note"]) == (
        "dismissed",
        "bob",
        "we have a smaller one",
    )
    assert "big.md" not in command("quarantine", "ls").out
    assert "dismissed" in command("quarantine", "ls", "--all").out
    assert command("quarantine", "show", "none").code == 1


def test_quality_shows_the_outcome_of_every_rule(command, settings):
    outcomes = command("--json", "quality").document["outcomes"]

    assert outcomes
    assert outcomes[0]["rule"] in " ".join(command("quality").out.split())


def test_quality_shows_a_report_by_its_name(command, settings):
    audit = QualityReport(
        run_id="run-9",
        step="validate",
        dataset="bronze.documents",
        verdict="blocked",
        rows=3,
        rejected=1,
        table_version=0,
        ruleset_hash="0" * 32,
        recorded_at=DAY_ZERO,
        seconds=0.5,
        engine={"deequ": "2.1.0"},
        rules=(),
        metrics={},
    )
    write_report(settings.reports_root, audit)

    assert "run-9-bronze.documents" in command("--json", "quality").document["reports"]
    assert "blocked" in command("quality").out
    assert command("--json", "quality", "--report", audit.name).document["rejected"] == 1
    assert command("quality", "--report", "none").code == 1


def test_an_answer_asked_for_here_can_be_judged_here(command, settings):
    answer = command("--json", "ask", QUESTION).document
    chosen = answer["citations"][0]["chunk_id"]
    told = command("--json", "feedback", answer["answer_id"], "--thumbs", "down", "--choose", chosen)

    assert told.code == 0
    assert told.document["answer_id"] == answer["answer_id"]
    command("events", "drain")
    [row] = read.query(settings.lake_root, "SELECT * FROM t", t=FEEDBACK).to_pylist()
    assert (row["feedback_id"], row["score"], row["chunk_id"]) == (told.document["feedback_id"], -1, chosen)


def test_feedback_that_says_nothing_or_is_of_no_answer_is_refused(command, settings):
    answer = command("--json", "ask", QUESTION).document

    assert "nothing is said" in command("feedback", answer["answer_id"]).err
    assert "no such answer" in command("feedback", "0" * 32, "--thumbs", "up").err
