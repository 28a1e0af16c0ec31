from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pyarrow as pa
import pytest

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.lake.vectors import IndexRows
from ragstone.runtime.errors import IndexGateError, NotFoundError
from ragstone.runtime.settings import Settings
from serving.index import build, matrix, publish
from serving.index.snapshot import open_current
from serving.index.verify import verify
from tests.factories import at
from tests.serving.index.lake import BETWEEN, EAST, NORTH, embeddings_spec, end, many, put

Spoiler = Callable[[np.ndarray], None]


def spoil_vectors(monkeypatch: pytest.MonkeyPatch, spoil: Spoiler) -> None:
    """Let the build read the lake rightly and then get its matrix wrong."""
    honest = matrix.fill_matrix

    def wrong(root: Path, space: str, rows: IndexRows, filled: np.ndarray) -> None:
        honest(root, space, rows, filled)
        spoil(filled)

    monkeypatch.setattr(matrix, "fill_matrix", wrong)


def swap_first_two(matrix: np.ndarray) -> None:
    matrix[[0, 1]] = matrix[[1, 0]]


def scale_one(matrix: np.ndarray) -> None:
    matrix[1] *= 2


def spoil_with_nan(matrix: np.ndarray) -> None:
    matrix[2, 3] = np.nan


def nudge_one(matrix: np.ndarray) -> None:
    matrix[0, 5] = np.nextafter(matrix[0, 5], np.float32(1))


@pytest.mark.parametrize(
    ("spoil", "failed"),
    [
        (swap_first_two, ("lake",)),
        (nudge_one, ("lake",)),
        (scale_one, ("lengths", "lake")),
        (spoil_with_nan, ("lengths", "lake", "search")),
    ],
)
def test_a_matrix_that_is_not_the_lakes_is_not_published(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, spoil: Spoiler, failed: tuple[str, ...]
) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    spoil_vectors(monkeypatch, spoil)
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, "run-1")
    assert refused.value.failed_checks == failed
    assert [each.manifest.failed_gates for each in publish.list_versions(settings)] == [failed]
    with pytest.raises(NotFoundError):
        open_current(settings)


def test_rows_that_stand_out_of_order_are_not_published(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    honest = build.index_rows

    def reversed_rows(*arguments: Any) -> IndexRows:
        rows = honest(*arguments)
        return replace(rows, table=rows.table.take(pa.array([2, 1, 0])))

    monkeypatch.setattr(build, "index_rows", reversed_rows)
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, "run-1")
    assert refused.value.failed_checks == ("order",)


def test_an_index_whose_words_stand_at_other_rows_is_not_published(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    honest = build.living_texts
    monkeypatch.setattr(build, "living_texts", lambda *given: [((row + 1) % 3, text) for row, text in honest(*given)])
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, "run-1")
    assert refused.value.failed_checks == ("words",)


def test_an_index_that_cannot_find_its_own_vectors_is_not_published(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings.model_copy(update={"index": settings.index.model_copy(update={"quantised_above": 600})})
    put(settings, *many(700))

    def codes_of_other_vectors(flat: Any, _rerank_factor: int) -> Any:
        codes = faiss.IndexPQFastScan(flat.d, flat.d // 2, 4, faiss.METRIC_INNER_PRODUCT)
        others = np.stack([item.vector for item in many(700, seed=3)])
        codes.train(others)
        codes.add(others)
        index = faiss.IndexRefine(codes, flat)
        index.k_factor = 1.0
        return index

    monkeypatch.setattr(build, "quantised", codes_of_other_vectors)
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, "run-1")
    assert refused.value.failed_checks == ("search",)


def test_every_check_is_named_when_all_pass(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    assert verify(open_current(settings), settings) == ("not_empty", "lengths", "order", "lake", "words", "search")


def test_a_snapshot_is_held_against_the_lake_as_it_was_when_it_was_built(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    built_at = open_current(settings).manifest.built_at
    later = {"event_timestamp": built_at.replace(year=2098), "created_timestamp": built_at.replace(year=2098)}
    end(settings, SILVER_CHUNKS, NORTH.chunk_id, **later)
    end(settings, embeddings_spec(settings), NORTH.chunk_id, **later)
    assert verify(open_current(settings), settings)


def test_a_snapshot_whose_chunks_have_left_the_lake_is_refused(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    end(settings, embeddings_spec(settings), NORTH.chunk_id, event_timestamp=at(1), created_timestamp=at(1))
    with pytest.raises(IndexGateError) as refused:
        verify(open_current(settings), settings)
    assert refused.value.failed_checks == ("lake",)
    assert "1 of 2" in str(refused.value)


def test_another_encoder_under_the_same_name_is_seen(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, NORTH)
    monkeypatch.setattr(EmbeddingSpec, "encoder_hash", "another")
    monkeypatch.setattr(build, "_refuse_other_encoders", lambda *_: None)
    with pytest.raises(IndexGateError) as refused:
        build.run(settings, "run-1")
    assert refused.value.failed_checks == ("lake",)
