"""Where the vectors of a new snapshot come from: an earlier one of the same state, or the lake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS
from ragstone.runtime.settings import Settings
from serving.index import build, matrix
from serving.index.files import VECTORS_FILE
from serving.index.snapshot import open_current
from tests.factories import at
from tests.serving.index.lake import BETWEEN, EAST, NORTH, end, many, put


def searched_otherwise(settings: Settings) -> Settings:
    """Return settings of another kind of search, so that an unchanged state has to be built anew."""
    return settings.model_copy(update={"index": settings.index.model_copy(update={"quantised_above": 600})})


def forbid_reading_the_lake(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise AssertionError("the lake's vectors were read")

    monkeypatch.setattr(matrix, "fill_matrix", forbidden)


def test_an_unchanged_state_is_built_again_without_reading_its_vectors(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(settings, *many(700))
    build.run(settings, "run-1")
    before = open_current(settings).matrix()
    forbid_reading_the_lake(monkeypatch)
    build.run(searched_otherwise(settings), "run-2")
    snapshot = open_current(settings)
    assert snapshot.manifest.kind == "quantised"
    np.testing.assert_array_equal(snapshot.matrix(), before)


def test_a_changed_state_is_read_from_the_lake(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    put(settings, BETWEEN, created_timestamp=at(9))
    forbid_reading_the_lake(monkeypatch)
    with pytest.raises(AssertionError, match="were read"):
        build.run(settings, "run-2")


def test_a_state_of_fewer_documents_is_read_from_the_lake(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    end(settings, DOCUMENT_ACCESS, EAST.document_id, created_timestamp=at(9))
    forbid_reading_the_lake(monkeypatch)
    with pytest.raises(AssertionError, match="were read"):
        build.run(settings, "run-2")


def test_a_broken_snapshot_is_passed_over(settings: Settings) -> None:
    put(settings, *many(700))
    build.run(settings, "run-1")
    vectors = settings.index_root / open_current(settings).manifest.version / VECTORS_FILE
    content = bytearray(vectors.read_bytes())
    content[len(content) // 2] ^= 1
    vectors.write_bytes(content)
    build.run(searched_otherwise(settings), "run-2")
    wanted = {item.chunk_id: item.vector for item in many(700)}
    snapshot = open_current(settings)
    for chunk_id, vector in zip(snapshot.rows()["chunk_id"].to_pylist(), snapshot.matrix(), strict=True):
        np.testing.assert_array_equal(vector, wanted[chunk_id])
