"""The index build's read of vectors into its matrix, against the fastest read of a list<float> column there is.

Ours puts every vector where the order of chunk ids wants it, and refuses nulls and other lengths. The other side copies
batches of the same files, in the order they have there, into memory given to it.
"""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from deltalake import DeltaTable

from bench import made_up
from bench.harness import Measurement, Scale, check_equal, interleave, tell, wall_s
from bench.homes import CORES, temporary_home
from bench.process_memory import peak_added_mb
from ragstone.contracts.tables import embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.lake.delta import table_path
from ragstone.lake.vectors import IndexRows, fill_matrix, index_rows
from ragstone.runtime.settings import Settings, load_settings

_ROWS_PER_COMMIT: Final = 50_000
_BATCH_ROWS: Final = 1_024
# One read of the small size takes a fifth of a second, too little for one value.
_CALLS: Final = 5
_MEGABYTE: Final = 1_000_000


def measure(scale: Scale) -> Measurement:
    """Return gigabytes of vectors per second of both sides."""
    count = scale.pick(small=100_000, full=1_000_000)
    with temporary_home() as settings:
        spec = embedding_spec(settings)
        _write(settings, spec, count)
        found: dict[str, IndexRows] = {}
        picking_s = wall_s(lambda: found.update(rows=_rows(settings, spec)))
        rows = found["rows"]
        ours, other = _matrix(count, spec.dim), _matrix(count, spec.dim)
        sides = partial(_ours, settings, spec, rows, ours), partial(_other, settings, spec, other)
        for side in sides:
            side()
        size_gb = ours.nbytes / 1e9
        rounds = interleave(lambda: size_gb / wall_s(sides[0]), lambda: size_gb / wall_s(sides[1]), _CALLS)
        check_equal(np.array_equal(ours, other[rows.table["scan_position"].to_numpy()]), "matrix, row by row")
        peaks = [_peak_of(kind, settings.home) for kind in ("ours", "other")]
    matrix_mb = count * spec.dim * 4 / _MEGABYTE
    note = (
        f"{count} vectors of {spec.dim}, {matrix_mb:.0f} MB; peak memory beyond the matrix: ours {peaks[0]:.0f} MB, "
        f"other {peaks[1]:.0f} MB; which rows count and where they go took another {picking_s:.1f} s, once"
    )
    return Measurement(*rounds.each(), "GB/s", goal=0.9, better="higher", note=note)


def _write(settings: Settings, spec: EmbeddingSpec, count: int) -> None:
    tell(f"  writing {count} made-up vectors")
    chunk_ids = made_up.ids(count, seed=4)
    for number, start in enumerate(range(0, count, _ROWS_PER_COMMIT)):
        part = chunk_ids[start : start + _ROWS_PER_COMMIT]
        matrix = made_up.vectors(len(part), spec.dim, seed=number)
        made_up.write_embeddings(settings.lake_root, spec, part, part, matrix)
    made_up.write_chunks(settings.lake_root, chunk_ids, chunk_ids)


def _rows(settings: Settings, spec: EmbeddingSpec) -> IndexRows:
    return index_rows(settings.lake_root, spec.space, spec.dim)


def _matrix(count: int, dim: int) -> made_up.Vectors:
    # Written to once, so that neither side pays for the machine's first touch of the memory.
    return np.full((count, dim), np.nan, np.float32)


def _ours(settings: Settings, spec: EmbeddingSpec, rows: IndexRows, matrix: made_up.Vectors) -> None:
    fill_matrix(settings.lake_root, spec.space, rows, matrix)


def _other(settings: Settings, spec: EmbeddingSpec, matrix: made_up.Vectors) -> None:
    """Read each file on a thread of its own, as many at once as there are cores, to its place in the matrix.

    Of dataset batches of several sizes, whole row groups and this, on one thread and on several, this was the fastest.
    """
    files = DeltaTable(str(table_path(settings.lake_root, embeddings(spec.space, spec.dim)))).file_uris()
    counts = [pq.read_metadata(file).num_rows for file in files]
    with ThreadPoolExecutor(CORES) as threads:
        for read in [
            threads.submit(_copy, file, matrix[end - count : end])
            for file, count, end in zip(files, counts, accumulate(counts), strict=True)
        ]:
            read.result()


def _copy(file: str, part: made_up.Vectors) -> None:
    start = 0
    parquet = pq.ParquetFile(file, memory_map=True)
    for batch in parquet.iter_batches(_BATCH_ROWS, columns=["embedding"], use_threads=False):
        vectors = batch.column(0)
        part[start : start + len(vectors)] = vectors.flatten().to_numpy().reshape(len(vectors), -1)
        start += len(vectors)


def _peak_of(kind: str, home: Path) -> float:
    """Return what one side's peak of resident memory adds to the matrix and all it began with, in MB.

    Measured in a process of its own, where no memory is left over from earlier reads.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure_peak, (kind, home))


def _measure_peak(kind: str, home: Path) -> float:
    settings = load_settings(home=home)
    spec = embedding_spec(settings)
    rows = _rows(settings, spec)
    matrix = _matrix(rows.table.num_rows, spec.dim)
    side = partial(_ours, settings, spec, rows, matrix) if kind == "ours" else partial(_other, settings, spec, matrix)
    return peak_added_mb(side)
