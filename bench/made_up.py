"""Made-up texts, vectors and lake rows: the same ones at every run, without a network and without encoding anything."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import write_deltalake

from ragstone.contracts.identity import embedding_key, stable_hash, text_hash
from ragstone.contracts.tables import (
    DOCUMENT_ACCESS,
    DOCUMENT_STATS,
    QUALITY_RESULTS,
    SILVER_CHUNKS,
    TableSpec,
    embeddings,
)
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.lake.delta import ensure_table
from ragstone.lake.schema import arrow_schema

Vectors = npt.NDArray[np.float32]

LEARNED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
WRITTEN_AT: Final = LEARNED_AT + timedelta(seconds=1)
CHUNKS_PER_DOCUMENT: Final = 10
_CHUNKER_HASH: Final = stable_hash("chunker of the benchmarks")
# With the language reference's words, a text of this many is one chunk: some 60 to 220 word pieces.
_FEWEST_WORDS, _MOST_WORDS = 30, 100
ROWS_PER_COMMIT: Final = 50_000


@cache
def _vocabulary() -> list[str]:
    from pydoc_data.topics import topics

    return [word for name in sorted(topics) for word in topics[name].split()]


def texts(count: int, seed: int = 1) -> list[str]:
    """Return distinct texts: stretches of the language reference, each some hundred word pieces long."""
    words, chance = _vocabulary(), random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        start = chance.randrange(len(words) - _MOST_WORDS)
        found[" ".join(words[start : start + chance.randint(_FEWEST_WORDS, _MOST_WORDS)])] = None
    return list(found)


def questions(count: int, seed: int = 2) -> list[str]:
    """Return distinct questions of ten words of the language reference each."""
    words, chance = _vocabulary(), random.Random(seed)
    starts = chance.sample(range(len(words) - 10), count)
    return [f"What is {' '.join(words[start : start + 10])}?" for start in starts]


def write_documents(folder: Path, paragraphs: Sequence[str], per_document: int = CHUNKS_PER_DOCUMENT) -> None:
    """Write paragraphs as text files of `per_document` each."""
    folder.mkdir(parents=True)
    for start in range(0, len(paragraphs), per_document):
        write_document(folder / f"{start:08}.txt", paragraphs[start : start + per_document])


def write_document(file: Path, paragraphs: Sequence[str]) -> None:
    """Write paragraphs as one text file."""
    content = "\n\n".join(f"{paragraph}." for paragraph in paragraphs)
    file.write_text(f"{content}\n", "utf-8")


def vectors(count: int, dim: int, seed: int = 3) -> Vectors:
    """Return float32 (count, dim), rows of unit length in random directions."""
    drawn = np.random.default_rng(seed).standard_normal((count, dim), dtype=np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def ids(count: int, seed: int) -> list[str]:
    """Return ids of 32 hexadecimal characters in no order."""
    drawn = np.random.default_rng(seed).bytes(16 * count).hex()
    return [drawn[start : start + 32] for start in range(0, len(drawn), 32)]


def vector_list(matrix: Vectors) -> pa.Array:
    """Return a matrix as an Arrow list column, one row per vector."""
    count, dim = matrix.shape
    offsets = pa.array(np.arange(0, count * dim + 1, dim, dtype=np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(matrix.reshape(-1)))


def write_columns(root: Path, spec: TableSpec, columns: Mapping[str, Any]) -> None:
    """Append one commit to a table: columns by name, each a sequence or one value for every row; null when left out.

    The table is created without constraints, which only Spark can create.
    """
    count = next(len(values) for values in columns.values() if _is_column(values))
    schema = arrow_schema(spec)
    table = pa.table([column(columns.get(field.name), field.type, count) for field in schema], schema=schema)
    write_deltalake(ensure_table(root, replace(spec, constraints={})), table, mode="append")


def version_columns(event_timestamp: Any = LEARNED_AT, created_timestamp: Any = WRITTEN_AT) -> dict[str, Any]:
    """Return the columns every silver table ends with."""
    return {
        "active": True,
        "event_timestamp": event_timestamp,
        "created_timestamp": created_timestamp,
        "run_id": "bench",
    }


def write_chunks(root: Path, passages: Sequence[str], chunk_ids: Sequence[str]) -> None:
    """Write living chunks of public, living documents, `CHUNKS_PER_DOCUMENT` to each."""
    documents = ids(-(-len(passages) // CHUNKS_PER_DOCUMENT), seed=5)
    for part in _commits(len(passages)):
        rows = range(part.start, part.stop)
        columns = {
            "chunk_id": chunk_ids[part],
            "document_id": [documents[row // CHUNKS_PER_DOCUMENT] for row in rows],
            "ordinal": [row % CHUNKS_PER_DOCUMENT for row in rows],
            "char_start": 0,
            "char_end": [len(text) for text in passages[part]],
            "heading_path": "",
            "text": passages[part],
            "token_count": [len(text.split()) for text in passages[part]],
            "text_hash": [text_hash(text) for text in passages[part]],
            "chunker_hash": _CHUNKER_HASH,
        }
        write_columns(root, SILVER_CHUNKS, {**columns, **version_columns()})
    write_columns(
        root,
        DOCUMENT_ACCESS,
        {"document_id": documents, "acl": [["public"]] * len(documents), **version_columns()},
    )
    _write_stats(root, documents)
    accept(root, SILVER_CHUNKS.name)


def write_embeddings(
    root: Path, spec: EmbeddingSpec, passages: Sequence[str], chunk_ids: Sequence[str], matrix: Vectors
) -> None:
    """Write the vectors of chunks, float32 (chunks, spec.dim), as the embeddings of their passages."""
    for part in _commits(len(passages)):
        hashes = [text_hash(text) for text in passages[part]]
        columns = {
            "chunk_id": chunk_ids[part],
            "embedding_key": [embedding_key(digest, spec.encoder_hash) for digest in hashes],
            "text_hash": hashes,
            "model_id": spec.model_id,
            "model_hash": spec.model_hash,
            "dim": spec.dim,
            "embedding": vector_list(matrix[part]),
        }
        write_columns(root, embeddings(spec.space, spec.dim), {**columns, **version_columns()})
    accept(root, embeddings(spec.space, spec.dim).name)


def accept(root: Path, dataset: str) -> None:
    """Record that an audit accepted what was written, without which no index of it goes live."""
    outcome = {"kind": "gate", "rule": "RowCount > 0", "outcome": "passed", "failed_rows": 0, "ruleset_hash": "0" * 32}
    columns = {"run_id": ["bench"], "dataset": dataset, **outcome, "recorded_at": WRITTEN_AT}
    write_columns(root, QUALITY_RESULTS, columns)


def _write_stats(root: Path, documents: Sequence[str]) -> None:
    columns = {
        "document_id": documents,
        "title": [f"Document {number}" for number in range(len(documents))],
        "source": "made-up",
        "source_uri": [f"{number}.txt" for number in range(len(documents))],
        "language": "en",
        "source_modified_at": LEARNED_AT,
        "char_count": 5_000,
        "chunk_count": CHUNKS_PER_DOCUMENT,
        "token_count": 1_000,
        "change_count": 0,
    }
    write_columns(root, DOCUMENT_STATS, {**columns, **version_columns()})


def _commits(count: int) -> Iterator[slice]:
    for start in range(0, count, ROWS_PER_COMMIT):
        yield slice(start, min(start + ROWS_PER_COMMIT, count))


def _is_column(values: Any) -> bool:
    return isinstance(values, (list, pa.Array, np.ndarray))


def column(values: Any, type_: pa.DataType, count: int) -> pa.Array:
    """Return values, or one value `count` times, as a column of a type."""
    if isinstance(values, pa.Array):
        return values.cast(type_)
    return pa.array(values if _is_column(values) else [values] * count, type_)
