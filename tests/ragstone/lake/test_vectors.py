from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragstone.contracts.state import AsOf
from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS, embeddings
from ragstone.lake.delta import append_rows
from ragstone.lake.vectors import fill_matrix, index_rows, living_texts, texts_of, vectors_of
from ragstone.runtime.errors import ContractError
from tests.factories import at, make_access_row, make_chunk_row, make_tombstone, write_rows

SPACE, DIM = "tests", 4
SPEC = embeddings(SPACE, DIM)


def embedding(
    text: str, vector: list[float | None] | None, uri: str = "guide.md", **changes: object
) -> dict[str, object]:
    chunk = make_chunk_row(text, uri)
    kept = ("chunk_id", "text_hash", "active", "event_timestamp", "created_timestamp", "run_id")
    facts = {"embedding_key": f"key of {text}", "model_id": "m", "model_hash": "h", "dim": DIM, "embedding": vector}
    return {**{name: chunk[name] for name in kept}, **facts, **changes}


def matrix(root: Path, as_of: AsOf = AsOf()) -> tuple[list[str], np.ndarray]:  # noqa: B008 - AsOf is frozen
    rows = index_rows(root, SPACE, DIM, as_of)
    filled = np.zeros((rows.table.num_rows, DIM), dtype=np.float32)
    fill_matrix(root, SPACE, rows, filled)
    return rows.table["chunk_id"].to_pylist(), filled


@pytest.fixture
def root(tmp_path: Path) -> Path:
    chunks = [make_chunk_row(text) for text in ("one", "two", "three")]
    write_rows(tmp_path, SILVER_CHUNKS, chunks)
    vectors = {"one": [1.0, 0, 0, 0], "two": [0, 1.0, 0, 0], "three": [0, 0, 1.0, 0]}
    write_rows(tmp_path, SPEC, [embedding(text, vector) for text, vector in vectors.items()])
    write_rows(tmp_path, DOCUMENT_ACCESS, [make_access_row()])
    return tmp_path


def test_every_living_chunk_has_its_own_vector_in_the_order_of_chunk_ids(root: Path) -> None:
    expected = {
        make_chunk_row(text)["chunk_id"]: row for text, row in zip(("one", "two", "three"), np.eye(4), strict=False)
    }
    ids, filled = matrix(root)
    assert ids == sorted(expected)
    assert np.array_equal(filled, [expected[name] for name in ids])


def test_the_newest_version_of_a_vector_counts_wherever_it_stands_in_the_scan(root: Path) -> None:
    write_rows(root, SPEC, [embedding("two", [0, 0, 0, 1.0], created_timestamp=at(9))])
    write_rows(root, SPEC, [embedding("one", [9.0, 9, 9, 9], created_timestamp=at(-9))])
    ids, filled = matrix(root)
    by_id = dict(zip(ids, filled.tolist(), strict=True))
    assert by_id[make_chunk_row("two")["chunk_id"]] == [0, 0, 0, 1]
    assert by_id[make_chunk_row("one")["chunk_id"]] == [1, 0, 0, 0]


def test_chunks_without_a_vector_or_a_living_document_are_left_out_and_counted(root: Path) -> None:
    write_rows(root, SILVER_CHUNKS, [make_chunk_row("four"), make_chunk_row("five", "gone.md")])
    write_rows(root, SPEC, [embedding("five", [0, 0, 0, 1.0], "gone.md")])
    gone = make_access_row("gone.md")["document_id"]
    write_rows(root, DOCUMENT_ACCESS, [make_tombstone(DOCUMENT_ACCESS, gone)])
    rows = index_rows(root, SPACE, DIM)
    assert rows.table.num_rows == 3
    assert rows.left_out == {"no_embedding": 1, "document_inactive": 1}


def test_a_tombstone_ends_a_chunk_and_its_null_vector_shifts_no_other(root: Path) -> None:
    ended = make_chunk_row("two")["chunk_id"]
    write_rows(root, SPEC, [make_tombstone(SPEC, ended, created_timestamp=at(9)), embedding("four", [0, 0, 0, 1.0])])
    write_rows(root, SILVER_CHUNKS, [make_chunk_row("four")])
    ids, filled = matrix(root)
    assert ended not in ids
    assert dict(zip(ids, filled.tolist(), strict=True))[make_chunk_row("four")["chunk_id"]] == [0, 0, 0, 1]


def test_the_state_of_an_earlier_time_is_read_from_the_same_rows(root: Path) -> None:
    later = {"event_timestamp": at(60), "created_timestamp": at(60)}
    write_rows(root, SPEC, [embedding("one", [0, 0, 0, 1.0], **later)])
    one = make_chunk_row("one")["chunk_id"]
    now, before = (dict(zip(*matrix(root, as_of), strict=True)) for as_of in (AsOf(), AsOf(known_by=at(30))))
    assert (now[one].tolist(), before[one].tolist()) == ([0, 0, 0, 1], [1, 0, 0, 0])


@pytest.mark.parametrize("vector", [[1.0, 0, 0], [1.0, 0, 0, 0, 0], [1.0, None, 0, 0], None])
def test_a_living_row_with_an_unusable_vector_is_refused(root: Path, vector: list[float | None] | None) -> None:
    append_rows(root, replace(SPEC, constraints={}), [embedding("one", vector, created_timestamp=at(9))])
    with pytest.raises(ContractError) as refused:
        matrix(root)
    assert "4 elements" in str(refused.value)


def test_no_table_at_all_is_an_empty_state(tmp_path: Path) -> None:
    rows = index_rows(tmp_path, SPACE, DIM)
    assert (rows.table.num_rows, rows.newest_write) == (0, None)
    assert {state.version for state in rows.tables.values()} == {-1}


def test_texts_and_vectors_are_those_of_the_living_rows(root: Path) -> None:
    write_rows(root, SILVER_CHUNKS, [make_chunk_row("no vector, not in the index")])
    rows = index_rows(root, SPACE, DIM)
    chunk_ids = rows.table["chunk_id"].to_pylist()
    assert {chunk_ids[place]: text for place, text in living_texts(root, rows)} == texts_of(root, chunk_ids)
    assert sorted(texts_of(root, chunk_ids).values()) == ["one", "three", "two"]
    found = vectors_of(root, SPACE, DIM, [make_chunk_row("two")["chunk_id"], "0" * 32])
    [(name, vector)] = found.items()
    assert (name, vector.embedding_key) == (make_chunk_row("two")["chunk_id"], "key of two")
    assert vector.vector.tolist() == [0, 1, 0, 0]


def test_the_newest_write_counts_rows_of_every_kind(root: Path) -> None:
    write_rows(root, DOCUMENT_ACCESS, [make_tombstone(DOCUMENT_ACCESS, "0" * 32, created_timestamp=at(99))])
    assert index_rows(root, SPACE, DIM).newest_write == at(99)
