"""What stands beside the vectors: the ids of each row, and in how many chunks each word occurs. Arrow files, mapped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ragstone.text.words import words

ID_LENGTH: Final = 32
ROW_SCHEMA: Final = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("text_hash", pa.string(), nullable=False),
    ]
)
WORD_SCHEMA: Final = pa.schema(
    [pa.field("word", pa.string(), nullable=False), pa.field("chunks", pa.int32(), nullable=False)]
)


def write_rows(path: Path, rows: pa.Table) -> None:
    """Write the ids of the rows, in the order of the vectors, as one record batch."""
    _write(path, rows.select(ROW_SCHEMA.names).cast(ROW_SCHEMA))


def open_rows(path: Path) -> pa.RecordBatch:
    """Map the ids of the rows: row i belongs to vector i. Raises pyarrow.ArrowInvalid or OSError."""
    return _open(path, ROW_SCHEMA)


def id_arrays(rows: pa.RecordBatch) -> list[npt.NDArray[np.bytes_]]:
    """Return each column of the rows as an array of 32-byte ids that shares the file's pages, and is quick to read.

    Raises pyarrow.ArrowInvalid when an id has another length.
    """
    for name, column in zip(ROW_SCHEMA.names, rows.columns, strict=True):
        if not pc.all(pc.equal(pc.binary_length(column), ID_LENGTH)).as_py() and len(column):
            raise pa.ArrowInvalid(f"an id in {name} does not have {ID_LENGTH} characters")
    # A column that was just read starts at the beginning of its buffers.
    return [
        np.frombuffer(column.buffers()[2] or b"", dtype=f"S{ID_LENGTH}", count=len(column)) for column in rows.columns
    ]


def count_words(texts: Iterable[str]) -> Counter[str]:
    """Return in how many of the texts each word occurs."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(set(words(text)))
    return counts


def write_words(path: Path, counts: Counter[str]) -> None:
    """Write in how many chunks each word occurs, words in order."""
    ordered = sorted(counts.items())
    columns = [[word for word, _ in ordered], [count for _, count in ordered]]
    _write(path, pa.table(columns, schema=WORD_SCHEMA))


def open_words(path: Path) -> dict[str, int]:
    """Return in how many chunks each word occurs. Raises pyarrow.ArrowInvalid or OSError."""
    batch = _open(path, WORD_SCHEMA)
    return dict(zip(batch["word"].to_pylist(), batch["chunks"].to_pylist(), strict=True))


def _write(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)


def _open(path: Path, schema: pa.Schema) -> pa.RecordBatch:
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    if table.schema != schema:
        raise pa.ArrowInvalid(f"{path.name} has columns {table.schema.names}")
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema)
