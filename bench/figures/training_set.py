"""The training set of the service `training_v1`, against DuckDB's ASOF joins of the same labels and Parquet files.

Ours opens the feature store, pins the tables' versions, checks the labels, breaks ties as the state rule says, keeps
the order of the labels and checks its result for leaks. The other side is told the files, and joins them in no order.
"""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from bench import made_up
from bench.harness import Measurement, Scale, check_equal, interleave, tell, wall_s
from bench.homes import temporary_home
from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS, TableSpec, embeddings
from ragstone.embedding.load import embedding_spec
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.features.apply import apply
from ragstone.features.training import training_set
from ragstone.features.views import CHUNK_METADATA, STATS, chunk_embedding
from ragstone.lake.delta import table_path
from ragstone.runtime.settings import Settings

_VERSIONS: Final = 5
_BETWEEN_VERSIONS: Final = timedelta(days=6)
_CHUNKS_PER_DOCUMENT: Final = 10
_ROWS_PER_DOCUMENT: Final = _VERSIONS * (1 + 2 * _CHUNKS_PER_DOCUMENT)
_DISTINCT_TEXTS: Final = 5_000
_CALLS: Final = 3

Positions = npt.NDArray[np.int64]


def measure(scale: Scale) -> Measurement:
    """Return the wall seconds of both sides, from labels on disk to rows in memory."""
    label_count = scale.pick(small=20_000, full=100_000)
    documents = scale.pick(small=200_000, full=1_000_000) // _ROWS_PER_DOCUMENT
    with temporary_home() as settings, duckdb.connect() as connection:
        spec = embedding_spec(settings)
        labels = settings.home / "labels.parquet"
        _write(settings, spec, documents, labels, label_count)
        apply(settings)
        found = training_set(settings, labels).table
        connection.execute("SET TimeZone = 'UTC'")
        sql = _asof_sql(settings, spec, labels, found.column_names)
        joined = connection.sql(sql).to_arrow_table().sort_by("label").select(found.column_names)
        check_equal(joined.cast(found.schema).equals(found), "rows")
        ours = partial(wall_s, lambda: training_set(settings, labels))
        other = partial(wall_s, lambda: connection.sql(sql).to_arrow_table())
        rounds = interleave(ours, other, _CALLS)
    note = (
        f"{label_count} labels, {documents * _ROWS_PER_DOCUMENT} feature rows in three views (chunks with their text, "
        f"vectors of {spec.dim}, document statistics), {_VERSIONS} versions of each key, {found.num_columns} columns"
    )
    return Measurement(*rounds.each(), "s", goal=1.0, better="lower", note=note)


def _write(settings: Settings, spec: EmbeddingSpec, documents: int, labels: Path, label_count: int) -> None:
    """Write every version of chunks, vectors and statistics, a commit to each version, and the labels."""
    tell(f"  writing {documents * _ROWS_PER_DOCUMENT} feature rows")
    document_ids = made_up.ids(documents, seed=5)
    chunk_ids = made_up.ids(documents * _CHUNKS_PER_DOCUMENT, seed=4)
    documents_of_chunks = [document_ids[row // _CHUNKS_PER_DOCUMENT] for row in range(len(chunk_ids))]
    root = settings.lake_root
    for version in range(_VERSIONS):
        _write_chunks(root, version, chunk_ids, documents_of_chunks)
        _write_vectors(root, spec, version, chunk_ids)
        _write_stats(root, version, document_ids)
    chance = np.random.default_rng(6)
    rows = chance.integers(len(chunk_ids), size=label_count)
    moments = chance.integers(_VERSIONS * _microseconds(_BETWEEN_VERSIONS), size=label_count)
    columns = {
        "label": np.arange(label_count),
        "chunk_id": [chunk_ids[row] for row in rows],
        "document_id": [documents_of_chunks[row] for row in rows],
        "event_timestamp": _moments(moments),
    }
    pq.write_table(pa.table(columns), labels)


def _write_chunks(root: Path, version: int, chunk_ids: list[str], document_ids: list[str]) -> None:
    texts = made_up.texts(_DISTINCT_TEXTS)
    chosen = [texts[(row + version) % len(texts)] for row in range(len(chunk_ids))]
    columns = {
        "chunk_id": chunk_ids,
        "document_id": document_ids,
        "ordinal": [row % _CHUNKS_PER_DOCUMENT for row in range(len(chunk_ids))],
        "char_start": 0,
        "char_end": [len(text) for text in chosen],
        "heading_path": f"Version {version}",
        "text": chosen,
        "token_count": [len(text.split()) for text in chosen],
        "text_hash": made_up.ids(len(chunk_ids), seed=100 + version),
        "chunker_hash": "0" * 32,
    }
    made_up.write_columns(root, SILVER_CHUNKS, {**columns, **_times(version, len(chunk_ids), seed=200)})


def _write_vectors(root: Path, spec: EmbeddingSpec, version: int, chunk_ids: list[str]) -> None:
    columns = {
        "chunk_id": chunk_ids,
        "embedding_key": made_up.ids(len(chunk_ids), seed=300 + version),
        "text_hash": made_up.ids(len(chunk_ids), seed=100 + version),
        "model_id": spec.model_id,
        "model_hash": spec.model_hash,
        "dim": spec.dim,
        "embedding": made_up.vector_list(made_up.vectors(len(chunk_ids), spec.dim, seed=400 + version)),
    }
    times = _times(version, len(chunk_ids), seed=500)
    made_up.write_columns(root, embeddings(spec.space, spec.dim), {**columns, **times})


def _write_stats(root: Path, version: int, document_ids: list[str]) -> None:
    columns = {
        "document_id": document_ids,
        "title": [f"Document {row}" for row in range(len(document_ids))],
        "source": "made-up",
        "source_uri": [f"{row}.txt" for row in range(len(document_ids))],
        "language": "en",
        "source_modified_at": made_up.LEARNED_AT,
        "char_count": 5_000 + version,
        "chunk_count": _CHUNKS_PER_DOCUMENT,
        "token_count": 1_000 + version,
        "change_count": version,
    }
    made_up.write_columns(root, DOCUMENT_STATS, {**columns, **_times(version, len(document_ids), seed=600)})


def _times(version: int, count: int, seed: int) -> dict[str, object]:
    """Return the columns of a version: each row learned at a moment of its own within the version's six days."""
    between = _microseconds(_BETWEEN_VERSIONS)
    learned = np.random.default_rng(seed + version).integers(between, size=count) + version * between
    return made_up.version_columns(_moments(learned), _moments(learned + 1_000_000))


def _moments(microseconds: Positions) -> pa.Array:
    start = np.datetime64(made_up.LEARNED_AT.replace(tzinfo=None), "us")
    return pa.array(start + microseconds.astype("timedelta64[us]")).cast(pa.timestamp("us", tz="UTC"))


def _microseconds(span: timedelta) -> int:
    return span // timedelta(microseconds=1)


def _asof_sql(settings: Settings, spec: EmbeddingSpec, labels: Path, columns: list[str]) -> str:
    """Return the joins as anyone would write them, giving `columns` by the names the training set has for them."""
    selected, joins = ["labels.*"], []
    for view in (CHUNK_METADATA, chunk_embedding(spec.space), STATS):
        names = {feature: column.name for feature, column in zip(view.features, view.columns, strict=True)}
        selected += [f"{view.name}.{column} AS {feature}" for feature, column in names.items() if feature in columns]
        selected.append(f"{view.name}.event_timestamp AS {view.name}__event_timestamp")
        joins.append(
            f"ASOF LEFT JOIN read_parquet({_files(settings, view.spec)}) {view.name} ON "
            f"labels.{view.join_key} = {view.name}.{view.join_key} "
            f"AND labels.event_timestamp >= {view.name}.event_timestamp"
        )
    return f"SELECT {', '.join(selected)} FROM read_parquet('{labels}') labels {' '.join(joins)}"


def _files(settings: Settings, spec: TableSpec) -> list[str]:
    return DeltaTable(str(table_path(settings.lake_root, spec))).file_uris()
