"""What it costs to follow a change: processor seconds of `ragstone run` after 1 % of the documents were rewritten.

From them 1.5 times the bare encoding of the rewritten documents' chunks is taken away; what is left, the start of Spark
included, is held against 15 CPU-s. The bare side has its model loaded and its texts in memory. The home's other
vectors are made up, so that nothing else was ever encoded.
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
from bench.homes import run_command
from bench.pipeline_run import run_pipeline
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.load import load_embedder
from ragstone.embedding.port import Embedder
from ragstone.lake import read
from ragstone.runtime.settings import Settings

_ALLOWED_CPU_S = 15.0
_ENCODINGS = 1.5


def measure(scale: Scale) -> Measurement:
    """Return what a rerun took beyond the encoding it had to do (ours) and what it may take (the other side)."""
    documents = scale.pick(small=1_000, full=10_000)
    with filled_home(documents) as (settings, source):
        embedder = load_embedder(settings)
        embedder.encode(["warm"])
        changed = max(1, documents // 100)
        rounds = [_round(settings, source, changed, embedder, number) for number in range(ROUNDS)]
        rewrite(source, changed, seed=ROUNDS)
        steps = json.loads(run_command([sys.executable, "-m", "bench.step_costs", str(settings.home)]))
    jobs = ", ".join(f"{step} {cost['jobs']}" for step, cost in steps.items() if cost["jobs"])
    note = (
        f"{changed} of {documents} documents rewritten; CPU-s of the run, then of encoding alone: "
        f"{'; '.join(f'{run_s:.1f}, {encoding_s:.1f}' for run_s, encoding_s in rounds)}; Spark jobs: {jobs}"
    )
    ours = tuple(run_s - _ENCODINGS * encoding_s for run_s, encoding_s in rounds)
    return Measurement(ours, (_ALLOWED_CPU_S,) * ROUNDS, "CPU-s", goal=1.0, better="lower", note=note)


def rewrite(source: Path, count: int, seed: int) -> list[str]:
    """Give so many documents, other ones for each seed, new paragraphs throughout, and return their texts."""
    files = sorted(source.glob("*.txt"))
    drawn = made_up.texts(count * made_up.CHUNKS_PER_DOCUMENT, seed=1_000 + seed)
    texts = [f"{text} in edition {seed}" for text in drawn]
    for place, file in enumerate(random.Random(seed).sample(files, count)):
        start = place * made_up.CHUNKS_PER_DOCUMENT
        made_up.write_document(file, texts[start : start + made_up.CHUNKS_PER_DOCUMENT])
    return texts


def _round(settings: Settings, source: Path, changed: int, embedder: Embedder, number: int) -> tuple[float, float]:
    """Return the processor seconds of a run after an edit and of encoding alone what it encoded."""
    rewrite(source, changed, seed=number)
    run = run_pipeline(settings)
    texts = _newest_texts(settings)
    check_equal(run.results["embed"]["details"]["texts_encoded"] == len(texts), "texts")
    began = time.process_time()
    embedder.encode(texts)
    encoding_s = time.process_time() - began
    tell(f"  run {run.cpu_s:.1f} CPU-s, encoding alone {encoding_s:.1f} CPU-s, {run.told_seconds}")
    return run.cpu_s, encoding_s


def _newest_texts(settings: Settings) -> Sequence[str]:
    """Return the texts that the newest run of preprocess brought, each once; a piece may well be known already."""
    found = read.query(
        settings.lake_root,
        """SELECT any_value(text) AS text FROM chunks WHERE active GROUP BY text_hash
        HAVING min(run_id) = (SELECT max(run_id) FROM chunks)""",
        chunks=SILVER_CHUNKS,
    )
    texts: list[str] = found["text"].to_pylist()
    return texts
