"""Searching some of the rows: those a caller may read, or any others, before the best k are taken."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ragstone.runtime.settings import Settings
from serving.index import build
from serving.index.sidecar import DOCUMENT_SCHEMA, readable_documents
from serving.index.snapshot import IndexSnapshot, open_current
from tests.factories import at
from tests.serving.index.lake import BETWEEN, EAST, NORTH, many, put, restrict, unit


def published(settings: Settings) -> IndexSnapshot:
    build.run(settings, "run-1")
    return open_current(settings)


@pytest.mark.parametrize(
    ("groups", "readable"),
    [
        ({"everyone"}, [True, True, False, False, False]),
        ({"staff"}, [False, True, False, False, False]),
        ({""}, [False] * 5),
        (set(), [False] * 5),
        ({"nobody"}, [False] * 5),
    ],
)
def test_a_missing_or_empty_list_or_entry_lets_nobody_in(groups: set[str], readable: list[bool]) -> None:
    lists = [["everyone"], ["staff", "everyone"], [], None, ["", None]]
    rows = [{"document_id": str(number), "acl": acl} for number, acl in enumerate(lists)]
    documents = pa.RecordBatch.from_pylist(rows, schema=DOCUMENT_SCHEMA)
    assert readable_documents(documents, groups).tolist() == readable


def test_rows_of_what_a_group_could_not_read_at_build_time_are_not_searched(settings: Settings) -> None:
    put(settings, NORTH, EAST, BETWEEN)
    restrict(settings, NORTH, "staff", created_timestamp=at(9))
    snapshot = published(settings)
    outsiders = snapshot.readable_rows(frozenset({"public"}))
    found = snapshot.search(unit(1, 0), 2, outsiders)
    assert [hit.chunk_id for hit in found] == [BETWEEN.chunk_id, EAST.chunk_id]
    assert snapshot.readable_rows(frozenset({"public", "staff"})) is None


@pytest.mark.parametrize("quantised_above", [600, 10_000])
@pytest.mark.parametrize("share", [0.01, 0.5])
def test_the_best_of_the_allowed_rows_are_found_exactly(settings: Settings, quantised_above: int, share: float) -> None:
    settings = settings.model_copy(
        update={"index": settings.index.model_copy(update={"quantised_above": quantised_above})}
    )
    put(settings, *many(700))
    snapshot = published(settings)
    assert snapshot.manifest.kind == ("quantised" if quantised_above == 600 else "flat")
    allowed = np.random.default_rng(5).random(700) < share
    question = many(1, seed=9)[0].vector
    scores = np.where(allowed, snapshot.matrix() @ question, -np.inf)
    wanted = np.argsort(-scores)[: min(10, np.count_nonzero(allowed))]
    ids = snapshot.rows()["chunk_id"]
    found = snapshot.search(question, 10, allowed)
    assert [hit.chunk_id for hit in found] == [ids[int(row)].as_py() for row in wanted]


def test_nothing_allowed_finds_nothing(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    assert published(settings).search(unit(1, 0), 2, np.zeros(2, dtype=np.bool_)) == []


def test_what_is_known_of_a_document_stands_beside_its_rows(settings: Settings) -> None:
    put(settings, NORTH, EAST)
    snapshot = published(settings)
    documents, rows = snapshot.documents(), snapshot.rows()
    assert documents["document_id"].to_pylist() == sorted({NORTH.document_id, EAST.document_id})
    pointed = [documents["document_id"][row].as_py() for row in rows["document_row"].to_pylist()]
    assert pointed == rows["document_id"].to_pylist()
