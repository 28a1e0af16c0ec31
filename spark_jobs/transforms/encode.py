"""From texts to vectors inside Spark: whole Arrow batches, and one encoder per worker process.

The settings travel to the workers, never the weights: each worker loads the exported model from its own disk.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import pyarrow as pa
from pyspark.sql import DataFrame

from ragstone.embedding.load import embedding_spec, load_embedder
from ragstone.runtime.settings import EmbeddingSettings, Settings
from spark_jobs.worker_errors import told_to_driver

ENCODED_SCHEMA: Final = "embedding_key string, embedding array<float>, seconds double, worker_peak_bytes bigint"
_ARROW_SCHEMA: Final = pa.schema(
    [
        ("embedding_key", pa.string()),
        ("embedding", pa.list_(pa.float32())),
        ("seconds", pa.float64()),
        ("worker_peak_bytes", pa.int64()),
    ]
)
# The last task keeps one core busy while the others idle: seconds of a long run, and large enough that what a task
# costs by itself does not count.
_TEXTS_PER_TASK: Final = 256


def encode_texts(texts: DataFrame, settings: Settings, text_count: int) -> DataFrame:
    """Return the vector of each text: `texts` has embedding_key and text, the result ENCODED_SCHEMA.

    `seconds` is the row's share of encoding time, `worker_peak_bytes` its worker's greatest resident memory so far.
    `text_count` tells how many texts there are, so that each core gets its share of them.
    """
    cores = texts.sparkSession.sparkContext.defaultParallelism
    # A small Delta table is one partition, which one core alone would encode. Dealing texts out by hash gives every
    # task as much to read, give or take a few per cent, for length and hash have nothing in common.
    spread = texts.select("embedding_key", "text").repartition(task_count(text_count, cores))
    return spread.mapInArrow(_encoder(settings), ENCODED_SCHEMA)


def task_count(text_count: int, cores: int) -> int:
    """Return in how many tasks so many texts are encoded: whole rounds of all cores, so that none ends up idle."""
    rounds = -(-text_count // (_TEXTS_PER_TASK * cores))
    return max(1, min(rounds * cores, text_count))


def _encoder(settings: Settings) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    # Only what the encoder needs: a task is written to the disks of a cluster, where no password belongs.
    public = Settings(assets=settings.assets, embedding=_of_workers(settings), chunking=settings.chunking)

    def encode(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with told_to_driver():
            embedder = load_embedder(public)
        for batch in batches:
            started = time.perf_counter()
            with told_to_driver():
                vectors = embedder.encode(batch.column("text").to_pylist())
            seconds = (time.perf_counter() - started) / max(batch.num_rows, 1)
            offsets = pa.array(range(0, vectors.size + 1, vectors.shape[1]), pa.int32())
            yield pa.record_batch(
                [
                    batch.column("embedding_key"),
                    pa.ListArray.from_arrays(offsets, pa.array(vectors.reshape(-1))),
                    pa.array([seconds] * batch.num_rows),
                    pa.array([_peak_bytes()] * batch.num_rows),
                ],
                schema=_ARROW_SCHEMA,
            )

    return encode


def _of_workers(settings: Settings) -> EmbeddingSettings:
    """Return the served space alone, with its dimension: no worker needs to ask an API for what the driver knows."""
    encoder = settings.embedding.served.model_copy(update={"dim": embedding_spec(settings).dim})
    return EmbeddingSettings(space=settings.embedding.space, **encoder.model_dump())


def _peak_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return peak if sys.platform == "darwin" else peak * 1024
