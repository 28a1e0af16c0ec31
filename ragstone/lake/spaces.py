"""Embedding spaces side by side: what each one holds, how alike two of them rank, and taking one away."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ragstone.contracts.tables import SILVER_CHUNKS, TableSpec, embeddings
from ragstone.lake import read
from ragstone.lake.delta import table_path
from ragstone.lake.vectors import fill_matrix, index_rows
from ragstone.runtime.errors import UsageError

_ANY_DIM: Final = 0


@dataclass(frozen=True)
class Coverage:
    """One space: its model, the length of its vectors, how many living chunks it has a vector of and how many not."""

    space: str
    model_id: str | None
    dim: int | None
    chunks: int
    missing: int


@dataclass(frozen=True)
class Parity:
    """Two spaces, held against each other with chunks in the place of questions.

    `in_first`, `in_second` and `in_both` count servable chunks with a vector. Of the `sampled` chunks, each one's `k`
    nearest others are found in both spaces, among the chunks in both: `overlap` is the mean share they have in common,
    `same_first` the share of chunks whose nearest is the same. Both are None when nothing can be compared.
    """

    first: str
    second: str
    in_first: int
    in_second: int
    in_both: int
    sampled: int
    k: int
    overlap: float | None
    same_first: float | None


def coverage(root: Path, space: str) -> Coverage:
    """Return what a space holds; one without a table holds nothing."""
    sql = """
        SELECT any_value(v.model_id) AS model_id, any_value(v.dim) AS dim, count(v.chunk_id) AS chunks,
            count(*) - count(v.chunk_id) AS missing
        FROM chunks c LEFT JOIN vectors v ON v.chunk_id = c.chunk_id"""
    chunks = read.state(root, SILVER_CHUNKS, columns=("chunk_id",))
    vectors = read.state(root, space_table(space), columns=("chunk_id", "model_id", "dim"))
    return Coverage(space, **read.query(root, sql, chunks=chunks, vectors=vectors).to_pylist()[0])


def parity(root: Path, first: str, second: str, sample: int, k: int) -> Parity:
    """Return how alike two spaces rank, on the same sample at every call. Raises UsageError for an empty space."""
    rows = [index_rows(root, space, _dim(root, space)) for space in (first, second)]
    ids = [np.asarray(found.table["chunk_id"].to_pylist(), dtype=str) for found in rows]
    common = np.intersect1d(ids[0], ids[1])
    k = min(k, max(len(common) - 1, 0))
    chosen = np.sort(np.random.default_rng(len(common)).choice(len(common), min(sample, len(common)), replace=False))
    nearest = [
        _nearest(_vectors(root, space, _dim(root, space), common), chosen, k) for space in (first, second) if k > 0
    ]
    alike = [_shared(*pair) for pair in zip(*nearest, strict=True)] if nearest else []
    return Parity(
        first=first,
        second=second,
        in_first=len(ids[0]),
        in_second=len(ids[1]),
        in_both=len(common),
        sampled=len(alike),
        k=k,
        overlap=float(np.mean([share for share, _ in alike])) if alike else None,
        same_first=float(np.mean([same for _, same in alike])) if alike else None,
    )


def drop_space(root: Path, space: str) -> bool:
    """Delete a space's table, and return whether there was one. One that a kill left half deleted goes too."""
    folder = table_path(root, space_table(space))
    going = folder.with_name(f".retired-{folder.name}")
    shutil.rmtree(going, ignore_errors=True)
    if not folder.is_dir():
        return False
    # Readers see a whole table or none.
    folder.rename(going)
    shutil.rmtree(going)
    return True


def space_table(space: str) -> TableSpec:
    """Return the table of a space for readers, who need no constraints: only those depend on the dimension."""
    return replace(embeddings(space, _ANY_DIM), constraints={})


def _dim(root: Path, space: str) -> int:
    found = read.query(root, "SELECT dim FROM vectors WHERE active LIMIT 1", vectors=space_table(space)).to_pylist()
    if not found:
        raise UsageError(
            "an embedding space holds no vector",
            where=str(root),
            got=space,
            wanted="a space that was filled",
            next_step=f"ragstone embed --space {space}; ragstone spaces ls",
        )
    return int(found[0]["dim"])


def _vectors(root: Path, space: str, dim: int, chunk_ids: npt.NDArray[np.str_]) -> npt.NDArray[np.float32]:
    """Return the vectors of some chunks, in the order of their ids, which is that of an index."""
    rows = index_rows(root, space, dim)
    matrix = np.empty((rows.table.num_rows, dim), np.float32)
    fill_matrix(root, space, rows, matrix)
    wanted = np.isin(np.asarray(rows.table["chunk_id"].to_pylist(), dtype=str), chunk_ids)
    return matrix[wanted]


def _nearest(matrix: npt.NDArray[np.float32], chosen: npt.NDArray[np.int64], k: int) -> npt.NDArray[np.int64]:
    """Return the rows of the k nearest others of each chosen row, best first; ties by row."""
    scores = matrix[chosen] @ matrix.T
    scores[np.arange(len(chosen)), chosen] = -np.inf
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def _shared(first: Sequence[int], second: Sequence[int]) -> tuple[float, bool]:
    return len(set(first) & set(second)) / len(first), bool(first[0] == second[0])
