from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS, QUALITY_RESULTS, SILVER_CHUNKS
from ragstone.features import materialize
from ragstone.features.redis_layout import entity_key
from ragstone.lake.vectors import IndexRows
from ragstone.runtime.errors import BadInputError, IndexGateError, UsageError
from ragstone.runtime.metrics import REGISTRY
from ragstone.runtime.redis_server import online_client, stop_redis
from ragstone.runtime.settings import Settings
from serving.index import build, gates, golden, publish
from serving.index.files import CURRENT_FILE, MANIFEST_FILE
from serving.index.manifest import GateResult, IndexManifest
from serving.index.snapshot import open_current
from tests.factories import at, make_access_row, make_chunk_row, write_rows
from tests.serving.index.lake import BETWEEN, EAST, NORTH, Item, end, many, put, unit


class FakeEncoder:
    """Encodes a question as the vector it spells."""

    def encode_questions(self, questions: Sequence[str]) -> list[np.ndarray]:
        return [unit(*map(float, question.split())) for question in questions]


@pytest.fixture
def spelt_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "load_embedder", lambda _settings: FakeEncoder())


def write_golden(settings: Settings, *judged: tuple[str, Item]) -> None:
    """Write questions, each with the one document that answers it."""
    settings.golden_root.mkdir(exist_ok=True)
    questions = [json.dumps({"_id": f"q{number}", "text": text}) for number, (text, _) in enumerate(judged)]
    (settings.golden_root / "queries.jsonl").write_text("\n".join(questions))
    judgements = [f"q{number}\tnotes/{item.source_uri}\t1" for number, (_, item) in enumerate(judged)]
    (settings.golden_root / "qrels.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judgements]))


def gate(manifest: IndexManifest, name: str) -> GateResult:
    [found] = [each for each in manifest.gates if each.name == name]
    return found


def served(settings: Settings) -> IndexManifest:
    return open_current(settings).manifest


def refused_at(settings: Settings, run_id: str = "run-2") -> tuple[str, ...]:
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, run_id)
    return refused.value.failed_checks


def newest(settings: Settings) -> IndexManifest:
    return publish.list_versions(settings)[0].manifest


def crowd(settings: Settings) -> None:
    """Put ten chunks between north and whoever asks for it, so that its document is no longer among the ten best."""
    nearer = [Item(f"nearer-{number}.md", f"Nearer {number}.", unit(1, number / 1_000)) for number in range(1, 11)]
    put(settings, *nearer)


def test_the_manifest_tells_what_every_gate_said(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    end(settings, DOCUMENT_ACCESS, EAST.document_id, created_timestamp=at(9))
    build.run(settings, "run-1")
    said = {each.name: each.outcome for each in served(settings).gates}
    assert said == {
        **dict.fromkeys(("not_empty", "lengths", "order", "lake", "words", "search", "quality", "counts"), "passed"),
        **dict.fromkeys(("online", "golden"), "not_applied"),
    }
    counts = gate(served(settings), "counts")
    assert counts.got == counts.wanted == "1 rows, left out: 1 document_inactive"
    assert gate(served(settings), "golden").got == f"no golden questions in {settings.golden_root}"


def test_a_refused_index_is_kept_and_told_of_while_the_old_one_serves_on(settings: Settings) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    before, counted = (
        served(settings).version,
        REGISTRY.get_sample_value("ragstone_index_refused_total", {"by": "gate"}),
    )
    put(settings, EAST)
    rewrite_chunk(settings, EAST, "run-x")
    write_rows(settings.lake_root, QUALITY_RESULTS, [outcome("run-x", "silver.chunks", "failed")])
    assert refused_at(settings) == ("quality",)
    assert served(settings).version == before
    assert newest(settings).failed_gates == ("quality",)
    assert [each.current for each in publish.list_versions(settings)] == [False, True]
    assert REGISTRY.get_sample_value("ragstone_index_refused_total", {"by": "gate"}) == (counted or 0) + 1


def outcome(run_id: str, dataset: str, verdict: str, minutes: float = 5) -> dict[str, Any]:
    judged = {"run_id": run_id, "dataset": dataset, "kind": "gate", "rule": "a rule", "outcome": verdict}
    return {**judged, "failed_rows": 0, "reason": None, "ruleset_hash": "0" * 32, "recorded_at": at(minutes)}


def test_a_refused_index_is_not_built_again_until_its_sources_change(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, NORTH, EAST)
    monkeypatch.setitem(
        gates.GATES, "counts", lambda _: GateResult(name="counts", outcome="failed", got="x", wanted="y")
    )
    assert refused_at(settings) == ("counts",)
    monkeypatch.undo()
    [version] = publish.version_names(settings.index_root)
    assert refused_at(settings) == ("counts",)
    assert publish.version_names(settings.index_root) == [version]
    put(settings, BETWEEN)
    assert build.run(settings, "run-3").status == "ok"
    assert served(settings).count == 3


def test_what_was_refused_can_be_judged_anew_and_published_by_hand(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, NORTH)
    with monkeypatch.context() as patched:
        failed = GateResult(name="counts", outcome="failed", got="x", wanted="y")
        patched.setitem(gates.GATES, "counts", lambda _: failed)
        refused_at(settings)
        [version] = publish.version_names(settings.index_root)
        with pytest.raises(IndexGateError):
            publish.publish(settings, version)
        assert newest(settings).failed_gates == ("counts",)
    assert publish.publish(settings, version).failed_gates == ()
    assert served(settings).version == version
    assert served(settings).failed_gates == ()
    assert build.run(settings, "run-3").status == "unchanged"


def test_refused_versions_are_bounded_and_never_push_out_a_sound_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"index": settings.index.model_copy(update={"keep_versions": 2})})
    put(settings, NORTH)
    build.run(settings, "run-0")
    put(settings, EAST)
    build.run(settings, "run-1")
    failed = GateResult(name="counts", outcome="failed", got="x", wanted="y")
    monkeypatch.setitem(gates.GATES, "counts", lambda _: failed)
    for item in (BETWEEN, *many(3)):
        put(settings, item)
        refused_at(settings)
    kept = publish.list_versions(settings)
    assert [bool(each.manifest.failed_gates) for each in kept] == [True, True, False, False]


def test_a_refused_version_is_not_rolled_back_to(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    first = served(settings).version
    put(settings, EAST)
    with monkeypatch.context() as patched:
        failed = GateResult(name="counts", outcome="failed", got="x", wanted="y")
        patched.setitem(gates.GATES, "counts", lambda _: failed)
        refused_at(settings)
    refused = newest(settings).version
    put(settings, BETWEEN)
    build.run(settings, "run-3")
    with pytest.raises(IndexGateError):
        publish.rollback(settings, refused)
    assert publish.rollback(settings).version == first


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ((), "1 rows of silver.chunks by run run-x, never audited"),
        ((("failed", 5),), "1 rows of silver.chunks by run run-x, blocked"),
        ((("failed", 5), ("failed", 6)), "1 rows of silver.chunks by run run-x, blocked"),
        ((("passed", 5), ("failed", 6)), None),
        ((("failed", 5), ("passed", 6)), None),
        ((("passed", 5),), None),
    ],
)
def test_rows_go_live_only_when_a_report_of_their_run_accepted_them(
    settings: Settings, outcomes: tuple[tuple[str, float], ...], told: str | None
) -> None:
    put(settings, NORTH)
    put(settings, EAST)
    root = settings.lake_root
    rewrite_chunk(settings, EAST, "run-x")
    for verdict, minutes in outcomes:
        write_rows(root, QUALITY_RESULTS, [outcome("run-x", "silver.chunks", verdict, minutes)])
    if told is None:
        assert build.run(settings, "run-1").status == "ok"
    else:
        assert refused_at(settings) == ("quality",)
        assert gate(newest(settings), "quality").got == told


def rewrite_chunk(settings: Settings, item: Item, run_id: str) -> None:
    """Write an item's chunk again, as it is, by a run of its own."""
    row = make_chunk_row(item.text, item.source_uri, run_id=run_id, created_timestamp=at(1))
    write_rows(settings.lake_root, SILVER_CHUNKS, [row])


def test_an_index_that_lacks_a_living_chunk_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    honest = build.index_rows

    def forgetful(*arguments: Any) -> IndexRows:
        rows = honest(*arguments)
        return replace(rows, table=rows.table.slice(1))

    monkeypatch.setattr(build, "index_rows", forgetful)
    assert refused_at(settings) == ("counts",)
    counts = gate(newest(settings), "counts")
    assert (counts.got, counts.wanted) == ("2 rows, left out: none", "3 rows, left out: none")


def test_a_row_that_is_written_while_an_index_is_built_does_not_refuse_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, NORTH, EAST)
    honest = build.index_rows

    def then_a_deletion(*arguments: Any) -> IndexRows:
        rows = honest(*arguments)
        from datetime import UTC, datetime

        now = datetime.now(UTC)
        end(settings, DOCUMENT_ACCESS, EAST.document_id, event_timestamp=now, created_timestamp=now)
        return rows

    monkeypatch.setattr(build, "index_rows", then_a_deletion)
    assert build.run(settings, "run-1").status == "ok"


@pytest.fixture
def online(settings: Settings) -> Settings:
    put(settings, NORTH, EAST)
    materialize.run(settings, "run-1")
    build.run(settings, "run-1")
    return settings


def test_an_index_is_refused_when_what_is_online_is_not_what_the_lake_holds(online: Settings) -> None:
    assert gate(served(online), "online").outcome == "passed"
    with online_client(online) as client:
        client.delete(entity_key(online.feast.project, "chunk_id", NORTH.chunk_id))
    put(online, BETWEEN)
    assert refused_at(online) == ("online",)
    assert gate(newest(online), "online").got == f"chunk {NORTH.chunk_id} is not online"
    materialize.rematerialize(online, "run-3")
    assert publish.publish(online, newest(online).version).count == 3


def test_what_is_still_to_be_brought_online_refuses_no_index(online: Settings) -> None:
    put(online, BETWEEN)
    narrower = make_access_row(NORTH.source_uri, acl=["staff"], event_timestamp=at(9), created_timestamp=at(9))
    write_rows(online.lake_root, DOCUMENT_ACCESS, [narrower])
    assert build.run(online, "run-2").status == "ok"


def test_an_online_store_that_was_flushed_refuses_the_next_index(online: Settings) -> None:
    from ragstone.lake.ops import recorded_run

    recorded_run("materialize", materialize.run, online, "run-2")
    with online_client(online) as client:
        client.flushall()
    put(online, BETWEEN)
    assert refused_at(online) == ("online",)


def test_an_index_of_the_past_is_not_held_against_what_is_online(online: Settings) -> None:
    with online_client(online) as client:
        client.flushall()
    past = build.build(online, "by-hand", known_by=at(30))
    assert gate(past, "online").outcome == "not_applied"
    stop_redis(online)


@pytest.mark.usefixtures("spelt_questions")
def test_an_index_that_finds_less_for_golden_questions_is_refused(settings: Settings) -> None:
    write_golden(settings, ("1", NORTH), ("0 1", EAST))
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    assert gate(served(settings), "golden").got == "no index is served yet to hold the golden questions against"
    crowd(settings)
    end(settings, SILVER_CHUNKS, EAST.chunk_id, created_timestamp=at(9))
    put(settings, replace(EAST, vector=unit(-1), text="Another text."))
    assert refused_at(settings) == ("golden",)
    told = gate(newest(settings), "golden")
    assert told.got == "recall@10 0.5000 over 2 golden questions"
    assert told.wanted == f"at least 0.9800: 0.02 below index {served(settings).version}"


@pytest.mark.usefixtures("spelt_questions")
def test_a_smaller_loss_than_the_margin_passes(settings: Settings) -> None:
    settings = settings.model_copy(update={"index": settings.index.model_copy(update={"golden_margin": 0.5})})
    write_golden(settings, ("1", NORTH), ("0 1", EAST))
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    put(settings, replace(NORTH, vector=unit(-1)), created_timestamp=at(5), event_timestamp=at(5))
    crowd(settings)
    assert build.run(settings, "run-2").status == "ok"
    assert gate(served(settings), "golden").got == "recall@10 0.5000 over 2 golden questions"


@pytest.mark.usefixtures("spelt_questions")
def test_the_deletion_of_a_golden_document_is_no_loss(settings: Settings) -> None:
    write_golden(settings, ("1", NORTH), ("0 1", EAST))
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    end(settings, DOCUMENT_ACCESS, EAST.document_id, created_timestamp=at(9))
    assert build.run(settings, "run-2").status == "ok"
    assert gate(served(settings), "golden").got == "recall@10 1.0000 over 1 golden questions"


@pytest.mark.usefixtures("spelt_questions")
def test_only_questions_that_both_indexes_were_asked_in_the_same_words_are_held_against_each_other(
    settings: Settings,
) -> None:
    put(settings, NORTH, EAST)
    write_golden(settings, ("1", NORTH), ("0 1", EAST))
    build.run(settings, "run-1")
    write_golden(settings, ("1", NORTH), ("0 -1", EAST), ("1 1", BETWEEN))
    put(settings, BETWEEN)
    build.run(settings, "run-2")
    assert gate(served(settings), "golden").got == "recall@10 1.0000 over 1 golden questions"


@pytest.mark.parametrize(("file", "error"), [("queries.jsonl", BadInputError), ("qrels.tsv", UsageError)])
def test_golden_questions_that_cannot_be_read_are_told_of_before_anything_is_built(
    settings: Settings, file: str, error: type[Exception]
) -> None:
    put(settings, NORTH)
    write_golden(settings, ("1", NORTH))
    path = settings.golden_root / file
    if error is UsageError:
        path.unlink()
    else:
        path.write_text("{")
    with pytest.raises(error):
        build.run(settings, "run-1")
    assert publish.version_names(settings.index_root) == []


def test_the_manifest_of_the_served_version_is_never_written_again(settings: Settings) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    manifest = settings.index_root / served(settings).version / MANIFEST_FILE
    before = manifest.stat().st_ino, (settings.index_root / CURRENT_FILE).read_bytes()
    publish.publish(settings, served(settings).version)
    assert (manifest.stat().st_ino, (settings.index_root / CURRENT_FILE).read_bytes()) == before
