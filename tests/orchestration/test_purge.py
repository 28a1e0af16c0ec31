"""A purge on a home that is served: every trace goes, the service goes on, and a purge that was killed is finished."""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestration.purge import parts, proof, steps
from orchestration.purge.parts import PARTS, purge, run_part
from ragstone.contracts.identity import content_hash
from ragstone.contracts.names import RETRIEVAL_STREAM
from ragstone.contracts.records import Rejection
from ragstone.contracts.tables import (
    BRONZE_DOCUMENTS,
    CHUNK_ENGAGEMENT,
    DOCUMENT_ACCESS,
    DOCUMENT_ENGAGEMENT,
    FEEDBACK,
    QUARANTINE,
    RETRIEVALS,
    RUNS,
    SILVER_CHUNKS,
    SILVER_DOCUMENTS,
)
from ragstone.features import materialize, online
from ragstone.lake import events, purge_record, quarantine, read
from ragstone.lake.catalog import present_tables
from ragstone.lake.delta import append_rows, open_table, table_path
from ragstone.lake.documents import bronze_state
from ragstone.lake.landing import LandingZone
from ragstone.lake.purge_collect import collect
from ragstone.lake.purge_landing import purged_uri
from ragstone.runtime.errors import ContractError, IndexGateError, UsageError
from ragstone.runtime.redis_server import online_client, stop_redis
from ragstone.runtime.settings import Settings
from serving.index import build
from serving.index import purge as purge_of_index
from serving.index.pointer import read_pointer, withdraw_pointer
from serving.index.snapshot import open_current
from serving.retrieval import ranking
from tests.factories import at, constrain
from tests.serving import world as worlds
from tests.serving.world import BEES, FERRY, KILN, PAYROLL, fill, put, served, world_settings

SECRET = "heron glaze"
# A document that has one paragraph of another's, and bytes of its own.
COPY = worlds.Document("copy.md", ("A copy says other things about the island and its people first.", *BEES.paragraphs))


@pytest.fixture(scope="session")
def filled(tmp_path_factory) -> Path:
    settings = world_settings(tmp_path_factory.mktemp("purged") / "home")
    fill(settings)
    put(settings, COPY)
    materialize.run(settings, "run-2")
    build.run(settings, "run-2")
    for spec in present_tables(settings.lake_root):
        constrain(settings.lake_root, spec)
    stop_redis(settings)
    return settings.home


@pytest.fixture
def settings(filled, home) -> Iterator[Settings]:
    settings = world_settings(worlds.copied(filled, home))
    materialize.run(settings, "run-3")
    _say_it_everywhere(settings)
    yield settings
    stop_redis(settings)


def _say_it_everywhere(settings):
    """Leave the kiln's words where a home in use has them: quarantine, runs, reports, logs, a conversation, events."""
    rejection = Rejection(
        "preprocess",
        "silver.chunks",
        "kiln.md",
        "too long: Glazes were mixed from river clay and ash.",
        document_id=KILN.document_id,
        payload_pointer=str(settings.home / "kiln.md"),
    )
    quarantine.set_aside(settings.lake_root, [rejection], "run-3")
    for folder, name, content in (
        ("reports", "r.json", json.dumps({"rules": [{"reason": KILN.paragraphs[0]}], "dataset": "silver.chunks"})),
        ("logs", "chunks-r.csv", f"document_id,source_uri\n{KILN.document_id},kiln.md\n{BEES.document_id},bees.md\n"),
    ):
        (settings.home / folder).mkdir(exist_ok=True)
        (settings.home / folder / name).write_text(content)


def _ask(client, question):
    return client.post("/chat", json={"user": question}, headers=worlds.as_(worlds.STAFF_KEY)).json()


def test_a_running_service_forgets_what_it_had_decoded(settings):
    with served(settings) as client:
        _ask(client, "What did the potters call the green glaze?")
        remembered = (online._chunk, online._document, online._decode_short, ranking._sentences)
        assert all(each.cache_info().currsize for each in remembered)
        serving = open_current(settings).manifest.version
        for name in ("bind", "collect", "landing", "tables", "index", "online", "files", "services"):
            run_part(settings, KILN.document_id, name, "run-9")
        assert open_current(settings).manifest.version != serving
        # The service looks for a new index on its own.
        give_up = time.monotonic() + 30
        while any(each.cache_info().currsize for each in remembered) and time.monotonic() < give_up:
            time.sleep(0.02)
        assert [each.cache_info().currsize for each in remembered] == [0, 0, 0, 0]


def _lineage(client, answer):
    return client.get(f"/v1/answers/{answer['answer_id']}/lineage", headers=worlds.as_(worlds.STAFF_KEY))


def _run(settings, document=KILN):
    return {part.name: result for part, result in purge(settings, document.document_id, "run-9")}


def _collected(settings, document=KILN):
    record = purge_record.begin(document.document_id)
    collect(settings, record)
    return record


def test_nothing_of_a_purged_document_is_left_and_the_service_never_stopped(settings):
    record = _collected(settings)
    with served(settings) as client:
        before = _ask(client, "What did the potters call the green glaze?")
        assert SECRET in before["answer"]
        again = _ask(client, "When does the ferry to Skarvik leave?")
        assert proof.prove(settings, record).findings

        outcomes = _run(settings)

        assert SECRET not in _ask(client, "What did the potters call the green glaze?")["answer"]
        assert "seven" in _ask(client, "When does the ferry to Skarvik leave?")["answer"]
        # What other answers said can still be asked for.
        assert (
            client.get(f"/answers/{again['answer_id']}/lineage", headers=worlds.as_(worlds.ADMIN_KEY)).status_code
            != 500
        )
    assert [part.name for part in PARTS] == list(outcomes)
    assert proof.prove(settings, record).findings == []
    # By eye, beside the proof: no file has the words as they were written.
    for path in settings.home.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    assert not (settings.landing_root / _object(KILN)).exists()


def _object(document):
    digest = content_hash(document.text.encode())
    return f"objects/{digest[:2]}/{digest}"


def _rows_of_kiln(settings, spec):
    sql = "SELECT * FROM t WHERE document_id = ?"
    return read.query(settings.lake_root, sql, (KILN.document_id,), t=spec).to_pylist()


def _versions(settings):
    return {spec.name: open_table(settings.lake_root, spec).version() for spec in present_tables(settings.lake_root)}


def test_the_neighbours_keep_every_row_and_their_constraints(settings):
    root = settings.lake_root
    before = {spec.name: _others(root, spec) for spec in present_tables(root) if not spec.name.startswith("ops.")}
    configuration = {spec.name: open_table(root, spec).metadata().configuration for spec in present_tables(root)}
    _run(settings)
    after = {name: _others(root, spec) for spec in present_tables(root) if (name := spec.name) in before}
    assert {name: rows for name, rows in before.items() if name != QUARANTINE.name} == {
        name: rows for name, rows in after.items() if name != QUARANTINE.name
    }
    for spec in present_tables(root):
        assert open_table(root, spec).metadata().configuration == configuration.get(
            spec.name, open_table(root, spec).metadata().configuration
        )
        assert open_table(root, spec).metadata().configuration["delta.appendOnly"] == "true"


def _others(root, spec):
    chunks = read.query(root, "SELECT DISTINCT chunk_id, document_id FROM t", t=SILVER_CHUNKS).to_pylist()
    own = {row["chunk_id"] for row in chunks if row["document_id"] == KILN.document_id}
    own |= {KILN.chunk_id(0), KILN.chunk_id(1)}
    rows = read.query(root, "SELECT * FROM t", t=spec).to_pylist()
    return sorted(
        repr(row) for row in rows if row.get("document_id") != KILN.document_id and row.get("chunk_id") not in own
    )


def test_what_stays_of_it_is_its_id_alone(settings):
    _run(settings)
    newest = bronze_state(settings)[KILN.document_id]
    assert (newest.change, newest.source_uri, newest.landing_uri) == ("deleted", purged_uri(KILN.document_id), None)
    access = read.newest_rows(
        settings.lake_root, DOCUMENT_ACCESS, where=f"document_id = '{KILN.document_id}'"
    ).to_pylist()
    assert [(row["active"], row["acl"]) for row in access] == [(False, None)]
    assert (
        read.query(
            settings.lake_root, "SELECT * FROM t WHERE document_id = ?", (KILN.document_id,), t=SILVER_DOCUMENTS
        ).num_rows
        == 0
    )
    kept = json.loads(purge_record.record_path(settings, KILN.document_id).read_text())
    assert kept["chunk_ids"] == kept["objects"] == []
    assert kept["traces"] == {"salt": "", "runs": {}}


def test_bytes_and_passages_of_a_living_document_stay_and_are_told(settings):
    outcomes = _run(settings, BEES)
    assert outcomes["collect"].details["shared_with"] == [COPY.document_id]
    assert COPY.document_id in open_current(settings).rows()["document_id"].to_pylist()
    assert BEES.document_id not in open_current(settings).rows()["document_id"].to_pylist()
    twin = worlds.Document("twin.md", FERRY.paragraphs)
    put(settings, twin)
    outcomes = _run(settings, FERRY)
    assert outcomes["collect"].details["shared_objects"] == [_object(FERRY)]
    assert (settings.landing_root / _object(FERRY)).exists()


def test_an_index_without_it_is_served_before_those_with_it_go(settings, monkeypatch):
    for name in ("bind", "collect", "landing", "tables"):
        run_part(settings, KILN.document_id, name, "run-9")
    monkeypatch.setattr(build, "run", lambda *_arguments: None)
    before = sorted(path.name for path in settings.index_root.iterdir() if path.is_dir())
    with pytest.raises(ContractError, match="the served index has a document"):
        run_part(settings, KILN.document_id, "index", "run-9")
    assert sorted(path.name for path in settings.index_root.iterdir() if path.is_dir()) == before


@pytest.fixture
def lone(home) -> Iterator[Settings]:
    """Lend a home whose index has one document alone."""
    settings = world_settings(home)
    put(settings, KILN)
    worlds._write_ops(settings.lake_root)
    _serve_what_there_is(settings)
    yield settings
    stop_redis(settings)


def _serve_what_there_is(settings):
    materialize.run(settings, "run-1")
    build.run(settings, "run-1")


def _wait_until_ready_answers(client, status):
    # The service follows the index on its own.
    give_up = time.monotonic() + 30
    while (answer := client.get("/health/ready")).status_code != status and time.monotonic() < give_up:
        time.sleep(0.02)
    assert answer.status_code == status
    return answer.json()


def test_purging_the_last_document_withdraws_the_index_and_services_say_so_until_there_is_another(lone):
    record = _collected(lone)
    with served(lone) as client:
        assert SECRET in _ask(client, "What did the potters call the green glaze?")["answer"]
        assert _run(lone)["index"].details["served"] is None
        assert proof.prove(lone, record).findings == []
        assert read_pointer(lone.index_root) is None
        assert purge_of_index.snapshots_with(lone, KILN.document_id) == []

        refused = _wait_until_ready_answers(client, 503)
        assert (refused["type"], refused["next"]) == (
            "urn:ragstone:retrieval-unavailable",
            "add a document, then ragstone run",
        )
        asked = client.post("/chat", json={"user": "What about the glaze?"}, headers=worlds.as_(worlds.STAFF_KEY))
        assert (asked.status_code, asked.json()["what"]) == (503, refused["what"])

        put(lone, FERRY)
        _serve_what_there_is(lone)
        assert _wait_until_ready_answers(client, 200)["chunks"] == 1
        assert "seven" in _ask(client, "When does the ferry to Skarvik leave?")["answer"]


def test_a_purge_that_was_killed_once_the_index_was_withdrawn_is_finished_by_the_next(lone, monkeypatch):
    record = _collected(lone)

    def withdrawn_then_killed(index_root):
        withdraw_pointer(index_root)
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(purge_of_index, "withdraw_pointer", withdrawn_then_killed)
        with pytest.raises(KilledError):
            _run(lone)
    assert read_pointer(lone.index_root) is None
    _run(lone)
    assert proof.prove(lone, record).findings == []
    assert parts.is_finished(lone, KILN.document_id)


def test_an_index_is_not_withdrawn_because_a_new_space_is_empty(settings):
    switched = world_settings(settings.home, embedding={"space": "new", "spaces": {"new": {}}})
    with pytest.raises(IndexGateError):
        _run(switched)
    assert open_current(settings).manifest.document_count
    _run(settings)
    assert parts.is_finished(settings, KILN.document_id)


def test_deleted_stream_entries_do_not_stay_in_redis(settings):
    with online_client(settings) as client:
        for number, answer in enumerate(["before", f"Potters called it {SECRET}: from river clay and ash", "after"]):
            client.xadd(RETRIEVAL_STREAM, {"answer_id": f"a{number}", "answer": answer})
            client.set(f"ragstone:answer:a{number}", "id")
        turns = [{"answer": KILN.paragraphs[1]}, {"answer": "kept"}, {"answer": "1240", "answer_id": "cited"}]
        client.rpush("ragstone:session:s", *map(json.dumps, turns))
        # However few of its words an answer took, its event cites the document.
        citing = {"answer_id": "cited", "answer": "1240", "citations": json.dumps([{"document_id": KILN.document_id}])}
        client.xadd(RETRIEVAL_STREAM, citing)
        last = client.xinfo_stream(RETRIEVAL_STREAM)["last-generated-id"]
        _run(settings)
        entries = [fields[b"answer"] for _, fields in client.xrange(RETRIEVAL_STREAM)]
        assert entries == [b"before", b"after"]
        assert client.xinfo_stream(RETRIEVAL_STREAM)["last-generated-id"] == last
        assert [client.exists(f"ragstone:answer:a{number}") for number in range(3)] == [1, 0, 1]
        assert client.lrange("ragstone:session:s", 0, -1) == [json.dumps({"answer": "kept"}).encode()]
        client.config_set("rdbcompression", "no")
        client.bgrewriteaof()
    stop_redis(settings)
    for path in (settings.home / "redis").rglob("*"):
        assert not path.is_file() or b"Potters" not in path.read_bytes()


def _judge(client, answer, **said):
    body = {"answer_id": answer["answer_id"], "thumbs": "up", **said}
    assert client.post("/v1/feedback", json=body, headers=worlds.as_(worlds.STAFF_KEY)).status_code == 201


def _rows(settings, spec):
    return read.query(settings.lake_root, "SELECT * FROM t", t=spec).to_pylist()


@pytest.mark.parametrize("drained_before", [True, False], ids=["drained before", "drained meanwhile"])
def test_what_was_asked_and_judged_of_it_goes_from_streams_and_tables(settings, drained_before):
    with served(settings) as client:
        gone, kept = (
            _ask(client, "What did the potters call the green glaze?"),
            _ask(client, "When does the ferry to Skarvik leave?"),
        )
        for answer in (gone, kept):
            _judge(client, answer)
        if drained_before:
            events.run(settings, "run-4")
        for each in PARTS:
            run_part(settings, KILN.document_id, each.name, "run-9")
            # Whoever drains while a purge is on its way brings nothing back.
            if not drained_before and each.name not in ("bind", "collect", "landing"):
                events.run(settings, "run-10")
    events.run(settings, "run-11")

    assert parts.is_finished(settings, KILN.document_id)
    assert [row["answer_id"] for row in _rows(settings, RETRIEVALS)] == [kept["answer_id"]]
    assert [row["answer_id"] for row in _rows(settings, FEEDBACK)] == [kept["answer_id"]]
    assert KILN.document_id not in {row["document_id"] for row in _rows(settings, DOCUMENT_ENGAGEMENT)}
    chunks = {row["chunk_id"] for row in _rows(settings, CHUNK_ENGAGEMENT)}
    assert FERRY.chunk_id() in chunks
    assert not chunks & {KILN.chunk_id(0), KILN.chunk_id(1)}


def test_a_living_document_that_says_nearly_the_same_is_no_trace(settings):
    # Redis stores a length beside a text, which looks like a letter, as the one by which these words differ does.
    rivers = worlds.Document("rivers.md", ("Stones were taken; glazes were mixed from rivers of ash.",))
    put(settings, rivers)
    materialize.run(settings, "run-4")
    record = _collected(settings)
    _run(settings)
    assert proof.prove(settings, record).findings == []
    with online_client(settings) as client:
        client.set("ragstone:note", f"{KILN.paragraphs[0]}x")
        client.bgrewriteaof()
    assert [finding.file for finding in proof.prove(settings, record).findings] == ["redis"]


def test_reports_and_logs_keep_what_they_say_of_others(settings):
    _run(settings)
    assert (
        settings.home / "logs" / "chunks-r.csv"
    ).read_text() == f"document_id,source_uri\n{BEES.document_id},bees.md\n"
    assert json.loads((settings.home / "reports" / "r.json").read_text()) == {
        "rules": [{"reason": "[purged]"}],
        "dataset": "silver.chunks",
    }


def test_a_log_that_is_being_written_is_purged_in_place(settings):
    path = settings.home / "logs" / "serve.log"
    with path.open("a") as writer:
        writer.write(f"asked\nread kiln.md\n{KILN.paragraphs[0]}\nanswered\n")
        writer.flush()
        for name in ("bind", "collect", "landing", "tables", "index", "online", "files"):
            run_part(settings, KILN.document_id, name, "run-9")
        writer.write("went on\n")
    assert path.read_text() == "asked\nanswered\nwent on\n"


def test_bronze_and_the_landing_zone_still_agree(settings):
    _run(settings)
    assert LandingZone(settings.landing_root).last_batch() == 6
    landed = [e for batch in LandingZone(settings.landing_root).read_batches() for e in batch.envelopes]
    assert {e.source_uri for e in landed if e.document_id == KILN.document_id} == {purged_uri(KILN.document_id)}
    rows = read.query(
        settings.lake_root, "SELECT * FROM t WHERE document_id = ?", (KILN.document_id,), t=BRONZE_DOCUMENTS
    )
    assert {(row["source_uri"], row["change"], row["landing_uri"]) for row in rows.to_pylist()} == {
        (purged_uri(KILN.document_id), "deleted", None)
    }


def test_the_proof_names_each_file_with_a_trace_referenced_or_not(settings):
    record = _collected(settings)
    _run(settings)
    text = KILN.paragraphs[0]
    home = settings.home
    left = table_path(settings.lake_root, SILVER_CHUNKS)
    pq.write_table(pa.table({"t": [[{"inner": text}]]}), left / "part-stray.parquet", compression="zstd")
    pq.write_table(pa.table({"n": [1]}).replace_schema_metadata({"note": text}), left / "part-footer.parquet")
    (left / "_delta_log" / "00000000000000000099.json.tmp").write_text(
        json.dumps({"add": {"stats": json.dumps({"minValues": {"text": text}})}})
    )
    with (
        pa.OSFile(str(home / "index" / "stray.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, pa.schema([("w", pa.string())])) as writer,
    ):
        writer.write_table(pa.table({"w": [text]}))

    (home / "logs" / "old.log.gz").write_bytes(gzip.compress(text.encode()))
    (home / "kiln.md").write_text("nothing but a name")
    (home / "broken.parquet").write_bytes(b"PAR1 not really")
    (home / "redis" / "appendonlydir" / "temp-left.rdb").write_bytes(b"VALKEY080 and so on")
    with online_client(settings) as client:
        client.hset("ragstone:x", "f", text)
        client.bgrewriteaof()
    found = {finding.file for finding in proof.prove(settings, record).findings}
    prefix = "lake/silver/chunks/"
    assert found == {
        f"{prefix}part-stray.parquet",
        f"{prefix}part-footer.parquet",
        f"{prefix}_delta_log/00000000000000000099.json.tmp",
        "index/stray.arrow",
        "logs/old.log.gz",
        "kiln.md",
        "broken.parquet",
        "redis",
        "redis/appendonlydir/temp-left.rdb",
    }


def test_a_trace_found_in_the_end_makes_the_next_purge_go_through_all_parts_again(settings, monkeypatch):
    real = steps.prove
    monkeypatch.setattr(steps, "prove", lambda *_given: proof.Proof(findings=[proof.Finding("somewhere", "text")]))
    with pytest.raises(ContractError, match="left traces"):
        _run(settings)
    monkeypatch.setattr(steps, "prove", real)
    outcomes = _run(settings)
    assert {name: result.status for name, result in outcomes.items()} == {
        name: "unchanged" if name in ("bind", "collect") else "ok" for name in outcomes
    }
    assert parts.is_finished(settings, KILN.document_id)


def test_a_preview_tells_what_would_go_and_changes_nothing(settings, command):
    versions = {
        spec.name: open_table(settings.lake_root, spec).version() for spec in present_tables(settings.lake_root)
    }
    told = command("--json", "documents", "purge", "kiln.md", "--dry-run")
    assert told.code == 0, told.err
    assert told.document["rows"][SILVER_CHUNKS.name] == 2
    assert told.document["landing_objects"] == [_object(KILN)]
    assert told.document["files"] == ["logs/chunks-r.csv", "reports/r.json"]
    assert len(told.document["index_snapshots"]) == 2
    assert versions == {
        spec.name: open_table(settings.lake_root, spec).version() for spec in present_tables(settings.lake_root)
    }
    assert not (settings.home / "purge").exists()


def test_the_command_asks_first_and_a_second_purge_says_it_is_done(settings, command):
    refused = command("documents", "purge", "kiln.md")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert not (settings.home / "purge").exists()
    told = command("documents", "purge", "kiln.md", "--yes")
    assert told.code == 0, told.err
    assert "purged" in told.out
    again = command("documents", "purge", KILN.document_id, "--yes")
    assert (again.code, again.out.strip()) == (0, "purged already")


def test_parts_come_in_their_order(settings):
    with pytest.raises(UsageError, match="in their order"):
        run_part(settings, KILN.document_id, "tables", "run-9")
    with pytest.raises(UsageError, match="no such part"):
        run_part(settings, KILN.document_id, "nothing", "run-9")


class KilledError(BaseException):
    """The process is gone: nothing that comes after it is done."""


KILLS = [part.name for part in PARTS]
SAMPLED = random.Random(4).choice(KILLS)


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n == SAMPLED else pytest.mark.full) for n in KILLS])
def test_a_purge_that_was_killed_in_any_part_is_finished_by_the_next(settings, monkeypatch, name):
    record = _collected(settings)

    def killed(*_given):
        raise KilledError

    # The part has done its work, and dies before that is noted.
    with monkeypatch.context() as patched:
        note = parts._note
        patched.setattr(parts, "_note", lambda *given: killed() if given[2] == name else note(*given))
        with pytest.raises(KilledError):
            _run(settings)
    assert open_current(settings).manifest.count
    _run(settings)
    assert proof.prove(settings, record).findings == []
    assert parts.is_finished(settings, KILN.document_id)
    assert PAYROLL.document_id in open_current(settings).rows()["document_id"].to_pylist()


MIDWAY = {
    "tables vacuumed": "ragstone.lake.purge_tables.vacuum_now",
    "tables rewritten": "ragstone.lake.purge_tables.seal",
    "snapshots removed": "serving.index.purge.shutil.rmtree",
    "redis rewritten": "ragstone.features.purge_online._rewrite",
    "lines blanked": "ragstone.lake.purge_landing._remove_scratch",
    "a batch written": "ragstone.lake.purge_landing.replace_private",
}


@pytest.mark.full
@pytest.mark.parametrize("place", MIDWAY.values(), ids=MIDWAY)
def test_a_purge_that_was_killed_inside_a_part_is_finished_by_the_next(settings, monkeypatch, place):
    record = _collected(settings)

    def killed(*_given, **_named):
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(place, killed)
        with pytest.raises(KilledError):
            _run(settings)
    assert open_current(settings).manifest.count
    _run(settings)
    assert proof.prove(settings, record).findings == []
    for spec in present_tables(settings.lake_root):
        assert open_table(settings.lake_root, spec).metadata().configuration["delta.appendOnly"] == "true"


def test_what_runs_told_of_it_is_blanked_and_how_far_they_came_stays(settings):
    run = read.query(settings.lake_root, "SELECT * FROM t WHERE step = 'validate'", t=RUNS).to_pylist()[0]
    told = {
        **run,
        "run_id": "run-5",
        "tables_read": {},
        "tables_written": {},
        "started_at": at(5),
        "watermark": 4,
        "details": json.dumps({"item": "kiln.md"}),
        "error": f"broken: {KILN.paragraphs[0]}",
    }
    append_rows(settings.lake_root, RUNS, [told])
    _run(settings)
    [row] = read.query(settings.lake_root, "SELECT * FROM t WHERE run_id = 'run-5'", t=RUNS).to_pylist()
    assert (row["details"], row["error"], row["watermark"]) == ("{}", "[purged]", 4)
