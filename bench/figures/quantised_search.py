"""The search of the quantised kind against FAISS's flat search of the same vectors, one question at a time, k = 10.

Both are mapped from files, as a service has them. Vectors lie in clusters of clusters and their spectrum decays, as
those of texts do; random directions would have no near neighbours to find.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.harness import ROUNDS, Measurement, Scale, check_equal, interleave, percentile, tell, wall_s
from ragstone.runtime.settings import load_settings
from serving.index.vectors import Matrix, empty_flat, matrix_of, open_vectors, quantised, search_vectors, write_vectors

_DIM: Final = 384
_K: Final = 10
_RECALL: Final = 0.999
_BROAD, _NARROW = 100, 5_000


def measure(scale: Scale) -> Measurement:
    """Return the p50 of both sides over the questions of a round, in milliseconds; recall and memory in the note."""
    count, calls = scale.pick(small=100_000, full=1_000_000), scale.pick(small=300, full=300)
    goal = 0.10 if count <= 100_000 else 0.12
    with tempfile.TemporaryDirectory(prefix="ragstone-bench-") as folder:
        files = Path(folder) / "quantised.faiss", Path(folder) / "flat.faiss"
        questions = _write(files, count, calls * ROUNDS)
        ours, other = (open_vectors(file) for file in files)
        asked = {"ours": iter(questions), "other": iter(questions)}
        found: dict[str, list[Any]] = {"ours": [], "other": []}

        def side(name: str, index: Any) -> float:
            question = next(asked[name])
            return wall_s(lambda: found[name].append(search_vectors(index, question, _K)[1])) * 1_000

        rounds = interleave(partial(side, "ours", ours), partial(side, "other", other), calls)
        private = _private_mb(files[0], questions[:50])
    recall = float(np.mean([len(np.intersect1d(*pair)) / _K for pair in zip(*found.values(), strict=True)]))
    check_equal(recall >= _RECALL, f"hits, but for 1 in 1,000: recall@{_K} is {recall:.5f}")
    p99 = [percentile([call for calls in side for call in calls], 99) for side in (rounds.ours, rounds.other)]
    note = (
        f"{count} vectors of {_DIM}, p50 of {calls} questions a round; recall@{_K} {recall:.5f}; "
        f"p99 {p99[0]:.2f} against {p99[1]:.2f} ms; private memory of a process that mapped and searched: "
        f"{private:.1f} MB of {count * _DIM * 4 / 1e6:.0f} MB of vectors"
    )
    return Measurement(*rounds.each(), "ms", goal=goal, better="lower", note=note)


def _write(files: tuple[Path, Path], count: int, questions: int) -> Matrix:
    """Write both indexes of the same vectors, and return questions, float32 (questions, dim), that lie near some."""
    tell(f"  {count} vectors in clusters")
    drawn = _clustered(count + questions, _DIM)
    flat = empty_flat(count, _DIM)
    matrix_of(flat)[:] = drawn[:count]
    write_vectors(flat, files[1])
    write_vectors(quantised(flat, load_settings().index.rerank_factor), files[0])
    return drawn[count:]


def _private_mb(file: Path, questions: Matrix) -> float:
    """Return what mapping and searching adds to the private memory of a process, in MB."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure_private, (file, questions))


def _measure_private(file: Path, questions: Matrix) -> float:
    before = _dirty_mb()
    index = open_vectors(file)
    for question in questions:
        search_vectors(index, question, _K)
    return _dirty_mb() - before


def _dirty_mb() -> float:
    """Return the memory that this process shares with no other, and with no file, in MB. Linux only."""
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) * 1_024 / 1e6


def _clustered(count: int, dim: int, seed: int = 5) -> Matrix:
    """Return float32 (count, dim), rows of unit length: clusters of clusters, the variance of direction i as 1 / i."""
    chance = np.random.default_rng(seed)
    spectrum = (1 / np.sqrt(np.arange(1, dim + 1))).astype(np.float32)
    broad = chance.standard_normal((_BROAD, dim), dtype=np.float32)
    narrow = broad[chance.integers(_BROAD, size=_NARROW)] + 0.7 * chance.standard_normal((_NARROW, dim), np.float32)
    drawn = narrow[chance.integers(_NARROW, size=count)]
    drawn += 0.5 * chance.standard_normal((count, dim), np.float32)
    drawn *= spectrum
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn
