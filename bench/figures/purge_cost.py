"""Processor seconds of `ragstone documents purge`, held against reading every file of the home once.

A purge looks into every file below the home to prove that nothing is left, so what it costs follows the size of the
home; the ratio says how many plain readings of the home it comes to. The other side reads Parquet and Arrow files into
memory and all other files as bytes, and looks at nothing. The purged documents have runs of words that no other has.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import made_up
from bench.filled_home import filled_home
from bench.harness import ROUNDS, Measurement, Scale, check_equal, tell
from bench.homes import ragstone, run_command
from bench.pipeline_run import redis_cpu_s, run_pipeline
from ragstone.lake.documents import bronze_state
from ragstone.lake.ops import last_run
from ragstone.runtime.settings import Settings


def measure(scale: Scale) -> Measurement:
    """Return the processor seconds of purges (ours), Redis included, and of reading the home before each."""
    documents = max(ROUNDS + 1, scale.pick(small=100, full=10_000))
    with filled_home(documents) as (settings, source):
        doomed = _own_words(source)
        chunks = run_pipeline(settings).chunks
        rounds = [_round(settings, name) for name in doomed]
    walls = "; ".join(f"{wall:.1f} s, proof {proof_s:.1f} s" for _, _, wall, proof_s in rounds)
    return Measurement(
        ours=tuple(purged_s for purged_s, *_ in rounds),
        other=tuple(read_s for _, read_s, *_ in rounds),
        unit="CPU-s",
        goal=20.0,
        better="lower",
        note=f"one document of some ten chunks, of {chunks} chunks; wall seconds of a purge and of its proof: {walls}",
    )


def _own_words(source: Path) -> Sequence[str]:
    """Give one document per round words in an order of their own, and return the names of their files."""
    files, chance = sorted(source.glob("*.txt"))[:ROUNDS], random.Random(5)
    for number, file in enumerate(files):
        texts = made_up.texts(made_up.CHUNKS_PER_DOCUMENT, seed=2_000 + number)
        words = [text.split() for text in texts]
        made_up.write_document(file, [" ".join(chance.sample(found, len(found))) for found in words])
    return [file.name for file in files]


def _round(settings: Settings, name: str) -> tuple[float, float, float, float]:
    """Return processor seconds of a purge and of reading the home, then wall seconds of the purge and of its proof."""
    [document_id] = [key for key, known in bronze_state(settings).items() if known.source_uri.endswith(name)]
    _, read_s = _spent([sys.executable, "-m", "bench.read_home", str(settings.home)])
    redis_before_s, began = redis_cpu_s(settings), time.perf_counter()
    output, purged_s = _spent(ragstone(settings, "--json", "documents", "purge", document_id, "--yes"))
    wall = time.perf_counter() - began
    parts = {part["step"]: part for part in json.loads(output)["parts"]}
    check_equal(parts["purge-tables"]["details"]["rows"]["silver.chunks"] > 0, "chunks, some of which went")
    purged_s += redis_cpu_s(settings) - redis_before_s
    tell(f"  purge {purged_s:.1f} CPU-s, {wall:.1f} s; reading once {read_s:.1f} CPU-s")
    proof = last_run(settings.lake_root, "purge-proof")
    return purged_s, read_s, wall, 0.0 if proof is None else float(proof["seconds"])


def _spent(command: list[str]) -> tuple[str, float]:
    """Return what a command says and the processor seconds of its whole process tree."""
    output = run_command([sys.executable, "-m", "bench.process_tree", *command])
    told, _, cpu_s = output.rstrip().rpartition("\n")
    return told, float(cpu_s)
