from __future__ import annotations

import numpy as np
import pytest

from ragstone.contracts.tables import DOCUMENT_ACCESS, SILVER_CHUNKS, embeddings
from ragstone.lake.delta import ABSENT, table_path, table_version
from ragstone.lake.spaces import coverage, drop_space, parity
from ragstone.runtime.errors import UsageError
from tests.factories import at, make_access_row, make_chunk_row, make_tombstone, write_rows

COUNT = 30
CHUNKS = [make_chunk_row(f"text {number}", f"{number}.md") for number in range(COUNT)]


@pytest.fixture
def root(home):
    write_rows(home / "lake", SILVER_CHUNKS, CHUNKS)
    write_rows(home / "lake", DOCUMENT_ACCESS, [make_access_row(f"{number}.md") for number in range(COUNT)])
    return home / "lake"


def directions(dim, seed):
    matrix = np.random.default_rng(seed).normal(size=(COUNT, dim))
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def fill(root, space, matrix, chunks=CHUNKS):
    versioned = ("chunk_id", "text_hash", "active", "event_timestamp", "created_timestamp", "run_id")
    dim = matrix.shape[1]
    rows = [
        {
            **{name: chunk[name] for name in versioned},
            "embedding_key": f"{space} {chunk['text']}",
            "model_id": f"model of {space}",
            "model_hash": "hash",
            "dim": dim,
            "embedding": vector.tolist(),
        }
        for chunk, vector in zip(chunks, matrix, strict=False)
    ]
    write_rows(root, embeddings(space, dim), rows)


def test_coverage_counts_living_chunks_with_and_without_a_vector(root):
    fill(root, "first", directions(4, 1), CHUNKS[:20])
    end = {"event_timestamp": at(1), "created_timestamp": at(2)}
    write_rows(root, SILVER_CHUNKS, [make_tombstone(SILVER_CHUNKS, CHUNKS[0]["chunk_id"], **end)])

    found = coverage(root, "first")

    assert (found.model_id, found.dim, found.chunks, found.missing) == ("model of first", 4, 19, 10)
    assert (coverage(root, "none").chunks, coverage(root, "none").missing) == (0, 29)


def test_spaces_that_rank_alike_agree_and_others_do_not(root):
    matrix = directions(6, 1)
    fill(root, "first", matrix)
    # Turned and mirrored: other numbers, of another length, and the same angles.
    turned, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(8, 8)))
    fill(root, "alike", (np.pad(matrix, ((0, 0), (0, 2))) @ turned).astype(np.float32))
    fill(root, "unlike", directions(6, 2))

    same, other = parity(root, "first", "alike", 20, 5), parity(root, "first", "unlike", 20, 5)

    assert (same.overlap, same.same_first, same.sampled, same.k) == (1.0, 1.0, 20, 5)
    assert other.overlap is not None
    # Five of twenty-nine by chance.
    assert 0.0 < other.overlap < 0.5
    assert parity(root, "first", "unlike", 20, 5) == other


def test_only_chunks_in_both_spaces_are_compared_and_the_rest_is_counted(root):
    matrix = directions(6, 1)
    fill(root, "first", matrix)
    fill(root, "half", matrix[::2], CHUNKS[::2])

    found = parity(root, "first", "half", 100, 50)

    assert (found.in_first, found.in_second, found.in_both) == (30, 15, 15)
    assert (found.sampled, found.k, found.overlap) == (15, 14, 1.0)


def test_a_space_without_vectors_is_refused_and_two_without_a_chunk_in_common_give_no_share(root):
    fill(root, "first", directions(4, 1)[:10], CHUNKS[:10])
    fill(root, "second", directions(4, 1)[:10], CHUNKS[10:20])

    assert parity(root, "first", "second", 10, 5).overlap is None
    with pytest.raises(UsageError) as refused:
        parity(root, "first", "none", 10, 5)
    assert refused.value.got == "none"


def test_a_dropped_space_is_gone_with_what_a_kill_left_of_it(root):
    fill(root, "first", directions(4, 1))
    spec = embeddings("first", 4)
    left = table_path(root, spec).with_name(".retired-embeddings_first")
    left.mkdir()
    (left / "part.parquet").write_bytes(b"")

    assert drop_space(root, "first")
    assert table_version(root, spec) == ABSENT
    assert not left.exists()
    assert not drop_space(root, "first")
