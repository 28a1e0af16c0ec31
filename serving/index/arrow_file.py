"""An Arrow table as a file of a snapshot: one record batch, mapped into memory by its readers."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as one record batch."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches():
            writer.write_batch(batch)


def open_batch(path: Path, schema: pa.Schema) -> pa.RecordBatch:
    """Map a file written by `write_table`, without reading it. Raises pyarrow.ArrowInvalid or OSError."""
    with pa.memory_map(str(path)) as source:
        table = pa.ipc.open_file(source).read_all()
    if table.schema != schema:
        raise pa.ArrowInvalid(f"{path.name} has columns {table.schema.names}")
    batches = table.to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=schema)
