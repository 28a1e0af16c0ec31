"""Documents and their chunks in one pass: a frame of items to read becomes a frame of the silver rows they add."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as sql
from pyspark.sql.types import ArrayType, StructField, StructType

from ragstone.contracts.tables import INT, LONG, SILVER_CHUNKS, SILVER_DOCUMENTS, STRING
from ragstone.lake.schema import ARROW_TYPES, arrow_schema
from spark_jobs import lake
from spark_jobs.document_versions import Writing, read_version

_ITEM: Final = {
    "document_id": "string",
    "alive": "boolean",
    "source": "string",
    "source_uri": "string",
    "source_modified_at": "timestamp",
    "content_hash": "string",
    "mime_type": "string",
    "landing_uri": "string",
    "event_timestamp": "timestamp",
}
ITEM_FACTS: Final = tuple(_ITEM)
ITEM_SCHEMA: Final = f"""
    {", ".join(f"{name} {type_}" for name, type_ in _ITEM.items())},
    known array<struct<chunk_id: string, ordinal: int, char_start: int, char_end: int, heading_path: string,
        token_count: int>>"""
_SUMMARY_TYPES: Final = {
    "document_id": STRING,
    "reason": STRING,
    "title": STRING,
    "language": STRING,
    "char_count": LONG,
    "chunk_count": INT,
    "token_count": LONG,
    "changed_chunks": INT,
}
SUMMARY: Final = tuple(_SUMMARY_TYPES)

# Rows leave a worker in batches of about this many characters, because one document may be megabytes.
_BATCH_CHARS: Final = 4_000_000
_ARROW: Final = pa.schema(
    [
        *(pa.field(name, ARROW_TYPES[type_]) for name, type_ in _SUMMARY_TYPES.items()),
        pa.field("document", pa.struct(list(arrow_schema(SILVER_DOCUMENTS)))),
        pa.field("chunks", pa.list_(pa.struct(list(arrow_schema(SILVER_CHUNKS))))),
    ]
)


def read_documents(items: DataFrame, writing: Writing) -> DataFrame:
    """Return one row per item: its summary, its row of silver.documents (null when unreadable), its rows of chunks."""
    return items.mapInArrow(lambda batches: _read(batches, writing), _spark_schema())


def document_rows(versions: DataFrame) -> DataFrame:
    """Return the rows of silver.documents, tombstones included."""
    return versions.filter("document IS NOT NULL").select("document.*")


def chunk_rows(versions: DataFrame) -> DataFrame:
    """Return the rows of silver.chunks, tombstones included."""
    return versions.select(sql.explode("chunks").alias("chunk")).select("chunk.*")


def _read(batches: Iterable[pa.RecordBatch], writing: Writing) -> Iterator[pa.RecordBatch]:
    rows: list[dict[str, Any]] = []
    chars = 0
    for batch in batches:
        for item in batch.to_pylist():
            rows.append(read_version({**item, "known": [tuple(fact.values()) for fact in item["known"]]}, writing))
            chars += rows[-1].get("char_count", 0)
            if chars >= _BATCH_CHARS:
                yield pa.RecordBatch.from_pylist(rows, schema=_ARROW)
                rows, chars = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=_ARROW)


def _spark_schema() -> StructType:
    schema = StructType([StructField(name, lake.SPARK_TYPES[type_]) for name, type_ in _SUMMARY_TYPES.items()])
    schema = schema.add("document", lake.struct_type(SILVER_DOCUMENTS))
    return schema.add("chunks", ArrayType(lake.struct_type(SILVER_CHUNKS)))
