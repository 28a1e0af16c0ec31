"""What stands beside the vectors: the ids of each row, in an Arrow file that readers map."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from serving.index.arrow_file import open_batch, write_table

ID_LENGTH: Final = 32
ROW_SCHEMA: Final = pa.schema(
    [
        pa.field("chunk_id", pa.string(), nullable=False),
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("text_hash", pa.string(), nullable=False),
    ]
)


def write_rows(path: Path, rows: pa.Table) -> None:
    """Write the ids of the rows, in the order of the vectors, as one record batch."""
    write_table(path, rows.select(ROW_SCHEMA.names).cast(ROW_SCHEMA))


def open_rows(path: Path) -> pa.RecordBatch:
    """Map the ids of the rows: row i belongs to vector i. Raises pyarrow.ArrowInvalid or OSError."""
    return open_batch(path, ROW_SCHEMA)


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
