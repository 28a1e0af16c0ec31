"""The vectors of a snapshot in FAISS: one matrix, searched exactly, or by a quantised scan with an exact second look.

The matrix is the flat index's own memory, filled in place, so that no build ever holds two copies. Files are mapped,
not loaded: processes on one machine share their pages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
import numpy.typing as npt

from serving.index.manifest import IndexKind

Matrix = npt.NDArray[np.float32]

_CODE_BITS: Final = 4
# Each 4-bit code needs 16 centroids, and FAISS asks for 39 vectors to train one.
_FEWEST_TO_TRAIN: Final = 39 * 2**_CODE_BITS
_MOST_TO_TRAIN: Final = 65_536


def kind_for(count: int, dim: int, quantised_above: int) -> IndexKind:
    """Return how so many vectors are searched; too few to train a quantiser, or an odd dimension, stay flat."""
    quantisable = count >= _FEWEST_TO_TRAIN and dim % 2 == 0
    return "quantised" if count > quantised_above and quantisable else "flat"


def empty_flat(count: int, dim: int) -> Any:
    """Return a flat inner product index of `count` vectors, whose values `matrix_of` lets the caller write."""
    faiss.omp_set_num_threads(1)
    flat = faiss.IndexFlatIP(dim)
    flat.codes.resize(count * dim * np.dtype(np.float32).itemsize)
    flat.ntotal = count
    return flat


def matrix_of(index: Any) -> Matrix:
    """Return the exact vectors of an index as float32 (count, dim), sharing its memory: keep the index alive."""
    flat: Any = faiss.downcast_index(index.refine_index) if isinstance(index, faiss.IndexRefine) else index
    if flat.ntotal == 0:
        return np.empty((0, flat.d), dtype=np.float32)
    matrix: Matrix = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)
    return matrix


def quantised(flat: Any, rerank_factor: int) -> Any:
    """Return an index that scans 4-bit codes and scores the best `rerank_factor` x k again by the vectors of `flat`."""
    matrix = matrix_of(flat)
    codes = faiss.IndexPQFastScan(flat.d, flat.d // 2, _CODE_BITS, faiss.METRIC_INNER_PRODUCT)
    codes.train(matrix[:: max(1, len(matrix) // _MOST_TO_TRAIN)])
    codes.add(matrix)
    index: Any = faiss.IndexRefine(codes, flat)
    index.k_factor = float(rerank_factor)
    return index


def factory_of(kind: IndexKind, dim: int) -> str:
    """Return what the index is, in FAISS's factory notation."""
    return "Flat" if kind == "flat" else f"PQ{dim // 2}x{_CODE_BITS}fs,RFlat"


def write_vectors(index: Any, path: Path) -> None:
    """Write an index to a file."""
    faiss.write_index(index, str(path))


def open_vectors(path: Path) -> Any:
    """Map an index file into memory, read-only: writing to its matrix ends the process. Raises RuntimeError."""
    # One query is never spread over threads, and idle OpenMP threads spin; workers are what scales.
    faiss.omp_set_num_threads(1)
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)


def search_vectors(
    index: Any, vector: Matrix, k: int, allowed: npt.NDArray[np.bool_] | None = None
) -> tuple[list[float], npt.NDArray[np.int64]]:
    """Return scores and row ordinals of at most k best vectors: inner product falling, ties by ordinal.

    `vector` is float32 (dim,); `allowed`, bool (ntotal,), names the vectors that may be found, None all. Fewer than k
    come back when there are no more.
    """
    k = min(k, index.ntotal if allowed is None else int(np.count_nonzero(allowed)))
    if k == 0:
        return [], np.empty(0, dtype=np.int64)
    query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
    if allowed is None:
        found = index.search(query, k, params=_refinement(index, k))
    else:
        found = _search_allowed(index, query, k, allowed)
    scores, ordinals = (each[0] for each in found)
    order = np.lexsort((ordinals, -scores))
    order = order[ordinals[order] >= 0]
    return scores[order].tolist(), ordinals[order]


def _search_allowed(index: Any, query: Matrix, k: int, allowed: npt.NDArray[np.bool_]) -> Any:
    """Search some of the vectors, exactly: FAISS's scan of 4-bit codes takes no selection."""
    bitmap: Any = np.packbits(allowed, bitorder="little")
    chosen: Any = faiss.SearchParameters()
    chosen.sel = faiss.IDSelectorBitmap(bitmap)  # type: ignore[call-arg]  # its own signature is C's
    exact: Any = faiss.downcast_index(index.refine_index) if isinstance(index, faiss.IndexRefine) else index
    return exact.search(query, k, params=chosen)


def _refinement(index: Any, k: int) -> Any:
    if not isinstance(index, faiss.IndexRefine):
        return None
    refinement = faiss.IndexRefineSearchParameters()
    refinement.k_factor = min(float(index.k_factor), index.ntotal / k)
    return refinement
