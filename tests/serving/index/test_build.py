from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS
from ragstone.embedding.load import embedding_spec
from ragstone.lake.delta import table_version
from ragstone.runtime.errors import IndexGateError
from ragstone.runtime.settings import AbstainSettings, Settings
from serving.index import build, publish
from serving.index.pointer import read_pointer
from serving.index.snapshot import open_current
from tests.factories import DAY_ZERO, at, write_rows
from tests.serving.index.lake import BETWEEN, EAST, NORTH, embedding_row, embeddings_spec, end, many, put, unit


def files_below(folder: Path) -> dict[str, tuple[bytes, int]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in paths}


def with_index(settings: Settings, **changes: int) -> Settings:
    return settings.model_copy(update={"index": settings.index.model_copy(update=changes)})


def test_a_built_index_is_published_and_finds_what_is_nearest(settings: Settings) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    result = build.run(settings, "run-1")
    hits = open_current(settings).search(unit(3, 1), 3)
    assert [hit.chunk_id for hit in hits] == [NORTH.chunk_id, BETWEEN.chunk_id, EAST.chunk_id]
    assert [hit.score for hit in hits] == pytest.approx([3 / 10**0.5, 4 / 20**0.5, 1 / 10**0.5], abs=1e-6)
    assert [hit.document_id for hit in hits] == [NORTH.document_id, BETWEEN.document_id, EAST.document_id]
    assert (result.status, result.unit, result.accepted, result.rows_in) == ("ok", "chunks", 3, 3)


def test_the_manifest_says_what_the_index_was_built_from(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    end(settings, DOCUMENT_ACCESS, EAST.document_id, created_timestamp=at(9), event_timestamp=at(9))
    evidence = {"data_set": "some set"}
    settings = settings.model_copy(update={"abstain": AbstainSettings(threshold=0.25, evidence=evidence)})
    build.run(settings, "run-1")
    manifest = open_current(settings).manifest
    spec = embedding_spec(settings)
    assert (manifest.count, manifest.document_count, manifest.left_out) == (1, 1, {"document_inactive": 1})
    assert (manifest.encoder_hash, manifest.model_hash, manifest.dim) == (spec.encoder_hash, spec.model_hash, 384)
    assert manifest.tables["silver.chunks"].version == table_version(settings.lake_root, SILVER_CHUNKS)
    wanted = {"chunk_metadata", f"chunk_embedding_{spec.space}", "document_access", "document_stats"}
    assert set(manifest.views) == wanted
    assert (manifest.abstain.threshold, manifest.abstain.evidence) == (0.25, evidence)
    assert (manifest.run_id, manifest.known_by, manifest.kind, manifest.factory) == ("run-1", None, "flat", "Flat")


def test_an_index_remembers_in_how_many_of_its_chunks_a_word_stands(settings: Settings) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    end(settings, DOCUMENT_ACCESS, BETWEEN.document_id, created_timestamp=at(9))
    build.run(settings, "run-1")
    snapshot = open_current(settings)
    # Two chunks: "tower" is in both, "lamp" in one, "wall" only in the one whose document has ended.
    weights = [snapshot.idf(word) for word in ("tower", "lamp", "wall")]
    assert weights == pytest.approx([np.log(1 + 0.5 / 2.5), np.log(1 + 1.5 / 1.5), np.log(1 + 2.5 / 0.5)])


def test_an_index_is_searched_by_words_over_the_rows_of_its_vectors(settings: Settings) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    build.run(settings, "run-1")
    hits = open_current(settings).search_words("Which wall?", 3)
    assert [(hit.chunk_id, hit.document_id) for hit in hits] == [(BETWEEN.chunk_id, BETWEEN.document_id)]


def test_a_second_run_writes_nothing(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    before = files_below(settings.index_root)
    again = build.run(settings, "run-2")
    assert (again.status, again.unchanged, again.accepted, again.written) == ("unchanged", 2, 0, 0)
    assert files_below(settings.index_root) == before


@pytest.mark.parametrize("part", ["table", "abstain", "kind"])
def test_whatever_an_index_follows_from_makes_a_new_one_when_it_changes(settings: Settings, part: str) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    first = open_current(settings).manifest.version
    if part == "table":
        put(settings, EAST)
    elif part == "abstain":
        settings = settings.model_copy(update={"abstain": AbstainSettings(threshold=0.9)})
    else:
        settings = with_index(settings, quantised_above=7)
    assert build.run(settings, "run-2").status == "ok"
    assert open_current(settings).manifest.version > first


def test_equal_states_give_equal_files_whatever_the_lake_looks_like_inside(settings: Settings, tmp_path: Path) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    build.run(settings, "run-1")
    other = settings.model_copy(update={"home": tmp_path / "other"})
    put(other, BETWEEN)
    put(other, replace(NORTH, vector=unit(0, 0, 1)), created_timestamp=at(-1))
    put(other, EAST)
    put(other, NORTH)
    build.run(other, "run-9")
    assert open_current(other).manifest.files == open_current(settings).manifest.files


def test_above_the_threshold_the_index_is_quantised_and_still_gives_the_exact_answer(settings: Settings) -> None:
    settings = with_index(settings, quantised_above=1_000)
    items = many(2_000)
    put(settings, *items)
    build.run(settings, "run-1")
    snapshot = open_current(settings)
    assert (snapshot.manifest.kind, snapshot.manifest.factory) == ("quantised", "PQ192x4fs,RFlat")
    vectors = np.stack([item.vector for item in items])
    questions = np.stack([item.vector for item in many(20, seed=11)])
    for question in questions:
        scores = vectors @ question
        exact = sorted(zip(-scores, (item.chunk_id for item in items), strict=True))[:10]
        hits = snapshot.search(question, 10)
        assert [hit.chunk_id for hit in hits] == [chunk_id for _, chunk_id in exact]
        assert [hit.score for hit in hits] == pytest.approx([-score for score, _ in exact], abs=1e-6)
    assert len(snapshot.search(questions[0], 5_000)) == 2_000


def test_too_few_chunks_to_train_a_quantiser_stay_flat(settings: Settings) -> None:
    settings = with_index(settings, quantised_above=0)
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    assert open_current(settings).manifest.kind == "flat"


def test_an_empty_lake_is_refused_and_what_is_served_stays(settings: Settings) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    end(settings, DOCUMENT_ACCESS, NORTH.document_id, created_timestamp=at(9))
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, "run-2")
    assert refused.value.failed_checks == ("not_empty",)
    assert open_current(settings).manifest.run_id == "run-1"


def test_vectors_of_another_encoder_are_refused(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    foreign = embedding_row(settings, EAST, embedding_key="of another encoder", created_timestamp=at(9))
    write_rows(settings.lake_root, embeddings_spec(settings), [foreign])
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, "run-1")
    assert refused.value.failed_checks == ("one_encoder",)
    assert "1 of 2" in str(refused.value)


def test_a_run_killed_before_publishing_is_completed_by_the_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, NORTH)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(publish, "point_to", killed)
        with pytest.raises(KeyboardInterrupt):
            build.run(settings, "run-1")
    assert read_pointer(settings.index_root) is None
    built = publish.version_names(settings.index_root)
    assert build.run(settings, "run-2").status == "ok"
    assert publish.version_names(settings.index_root) == built
    assert open_current(settings).manifest.run_id == "run-1"


def test_what_a_killed_build_left_is_no_version_and_is_cleared_away(settings: Settings) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    [version] = publish.version_names(settings.index_root)
    leftover = settings.index_root / ".building-20990101T000000000000Z"
    shutil.copytree(settings.index_root / version, leftover)
    assert publish.version_names(settings.index_root) == [version]
    put(settings, EAST)
    build.run(settings, "run-2")
    assert not leftover.exists()


def test_a_served_index_that_has_rotted_is_built_anew(settings: Settings) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    [version] = publish.version_names(settings.index_root)
    vectors = settings.index_root / version / "vectors.faiss"
    vectors.write_bytes(vectors.read_bytes()[:-1] + b"\x01")
    assert build.run(settings, "run-2").status == "ok"
    assert open_current(settings).search(unit(1), 1)[0].chunk_id == NORTH.chunk_id


def test_a_past_time_can_be_indexed_without_publishing_it(settings: Settings) -> None:
    put(settings, NORTH)
    put(settings, EAST, event_timestamp=at(60), created_timestamp=at(61))
    past = build.build(settings, "run-1", known_by=at(30))
    assert (past.count, past.known_by) == (1, at(30))
    assert read_pointer(settings.index_root) is None
    build.run(settings, "run-2")
    assert open_current(settings).manifest.count == 2


def test_an_index_is_not_older_than_what_it_read_even_when_clocks_differ(settings: Settings) -> None:
    ahead = datetime(2099, 1, 1, tzinfo=UTC)
    put(settings, NORTH, event_timestamp=DAY_ZERO, created_timestamp=ahead)
    assert build.run(settings, "run-1").status == "ok"
    assert open_current(settings).manifest.built_at == ahead


def test_old_versions_are_pruned_but_never_the_served_one(settings: Settings) -> None:
    settings = with_index(settings, keep_versions=2)
    for number, item in enumerate((NORTH, EAST, BETWEEN, *many(1))):
        put(settings, item)
        build.run(settings, f"run-{number}")
    newest, older = publish.version_names(settings.index_root)
    assert json.loads((settings.index_root / newest / "manifest.json").read_text())["run_id"] == "run-3"
    publish.rollback(settings)
    put(settings, *many(3, seed=5)[1:])
    build.build(settings, "by-hand")
    build.build(settings, "by-hand")
    assert publish.prune(settings) == [newest]
    assert older in publish.version_names(settings.index_root)
