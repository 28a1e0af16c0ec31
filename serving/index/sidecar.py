"""What stands beside the vectors: the ids of each row, and what is known of each document. Arrow files, mapped."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from serving.index.arrow_file import open_batch, write_table

ID_LENGTH: Final = 32
ID_COLUMNS: Final = ("chunk_id", "document_id", "text_hash")
ROW_SCHEMA: Final = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ID_COLUMNS),
        pa.field("document_row", pa.int32(), nullable=False),
    ]
)
DOCUMENT_SCHEMA: Final = pa.schema(
    [
        pa.field("document_id", pa.string(), nullable=False),
        pa.field("acl", pa.list_(pa.string())),
        pa.field("source", pa.string()),
        pa.field("language", pa.string()),
        pa.field("source_modified_at", pa.timestamp("us", tz="UTC")),
    ]
)


def write_rows(path: Path, rows: pa.Table, documents: pa.Table) -> None:
    """Write the ids of the rows, in the order of the vectors, and at which row of `documents` each one's stands."""
    document_row = pc.index_in(rows["document_id"], documents["document_id"].combine_chunks())
    write_table(path, rows.select(ID_COLUMNS).append_column("document_row", document_row).cast(ROW_SCHEMA))


def open_rows(path: Path) -> pa.RecordBatch:
    """Map the ids of the rows: row i belongs to vector i. Raises pyarrow.ArrowInvalid or OSError."""
    return open_batch(path, ROW_SCHEMA)


def id_arrays(rows: pa.RecordBatch) -> list[npt.NDArray[np.bytes_]]:
    """Return each id of the rows as an array of 32-byte ids that shares the file's pages, and is quick to read.

    Raises pyarrow.ArrowInvalid when an id has another length.
    """
    columns = [rows[name] for name in ID_COLUMNS]
    for name, column in zip(ID_COLUMNS, columns, strict=True):
        if not pc.all(pc.equal(pc.binary_length(column), ID_LENGTH)).as_py() and len(column):
            raise pa.ArrowInvalid(f"an id in {name} does not have {ID_LENGTH} characters")
    # A column that was just read starts at the beginning of its buffers.
    return [np.frombuffer(column.buffers()[2] or b"", dtype=f"S{ID_LENGTH}", count=len(column)) for column in columns]


def write_documents(path: Path, documents: pa.Table) -> None:
    """Write what is known of each document, ordered by document_id."""
    write_table(path, documents.cast(DOCUMENT_SCHEMA))


def open_documents(path: Path) -> pa.RecordBatch:
    """Map what is known of each document. Raises pyarrow.ArrowInvalid or OSError."""
    return open_batch(path, DOCUMENT_SCHEMA)


def readable_documents(documents: pa.RecordBatch, groups: Collection[str]) -> npt.NDArray[np.bool_]:
    """Return which documents one of the groups may read, bool (documents,): the gate's rule, on the lists at build."""
    acl, readable = documents["acl"], np.zeros(documents.num_rows, dtype=np.bool_)
    matching = pc.is_in(pc.list_flatten(acl), pa.array([group for group in groups if group], pa.string()))
    readable[pc.list_parent_indices(acl).filter(matching).to_numpy()] = True
    return readable
