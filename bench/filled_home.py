"""A home whose pipeline has run on many documents, without their texts having been encoded: the vectors are made up.

`python -m bench.filled_home HOME` fills a home whose `conf.yaml` names its source. Every step is the product's own but
embed: its rows are appended by Spark, under the constraints and the transaction that embed would have used.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq

from bench import made_up
from bench.homes import run_command, temporary_home
from orchestration.pipeline import PIPELINE, step
from orchestration.runner import run_step, started_run_id
from ragstone.contracts.identity import embedding_key
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.lake import read
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.logging import configure_logging
from ragstone.runtime.settings import LogSettings, Settings, load_settings

SOURCE = "made-up"


@contextmanager
def filled_home(documents: int) -> Iterator[tuple[Settings, Path]]:
    """Lend a home in which nothing waits, and the folder of its documents, each of some ten chunks."""
    with TemporaryDirectory(prefix="ragstone-bench-") as folder:
        source = Path(folder) / "documents"
        made_up.write_documents(source, made_up.texts(documents * made_up.CHUNKS_PER_DOCUMENT))
        with temporary_home(sources={SOURCE: {"root": str(source)}}) as settings:
            # In a process of its own, for a JVM that has run stays with whoever started it.
            run_command([sys.executable, "-m", "bench.filled_home", str(settings.home)])
            yield settings, source


def main(home: Path) -> None:
    """Run the pipeline on a new home with made-up vectors."""
    configure_logging(LogSettings(level="warning"))
    settings, run_id = load_settings(home=home), started_run_id()
    for known in PIPELINE[: PIPELINE.index(step("embed"))]:
        run_step(settings, run_id, known)
    _write_embeddings(settings)
    for known in PIPELINE[PIPELINE.index(step("embed")) :]:
        run_step(settings, run_id, known)


def _write_embeddings(settings: Settings) -> None:
    from spark_jobs import lake
    from spark_jobs.embedding_task import find_task
    from spark_jobs.session import open_session

    task = find_task(settings, "embed")
    folder = settings.home / "vectors"
    folder.mkdir()
    chunks = read.state(settings.lake_root, SILVER_CHUNKS, columns=("chunk_id", "text_hash", "event_timestamp"))
    columns = {
        **{name: chunks[name].combine_chunks() for name in chunks.column_names},
        "embedding_key": [embedding_key(digest, task.spec.encoder_hash) for digest in chunks["text_hash"].to_pylist()],
        "model_id": task.spec.model_id,
        "model_hash": task.spec.model_hash,
        "dim": task.spec.dim,
        "embedding": made_up.vector_list(made_up.vectors(chunks.num_rows, task.spec.dim)),
        "active": True,
        "created_timestamp": task.created_at(),
        "run_id": "bench",
    }
    schema = arrow_schema(task.table)
    rows = pa.table(
        [made_up.column(columns[field.name], field.type, chunks.num_rows) for field in schema], schema=schema
    )
    pq.write_table(rows, folder / "rows.parquet")
    frame = open_session(settings).read.parquet(str(folder))
    lake.append(frame, settings.lake_root, task.table, task.transaction)
    made_up.accept(settings.lake_root, task.table.name)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
