"""Landing batches of any size into bronze, by Spark."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sql
from pyspark.sql.types import StructType

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.runtime.settings import Settings
from spark_jobs import lake
from spark_jobs.session import open_session

_ADDED_HERE: Final = ("landing_batch", "created_timestamp")


def append_landed(settings: Settings, paths: Sequence[Path], transaction: tuple[str, int]) -> int:
    """Append the rows of landing batch files to bronze under a transaction and return its version."""
    rows = landed_rows(open_session(settings), paths, datetime.now(UTC))
    return lake.append(rows, settings.lake_root, BRONZE_DOCUMENTS, transaction)


def landed_rows(spark: SparkSession, paths: Sequence[Path], created_timestamp: datetime) -> DataFrame:
    """Return the rows of bronze.documents that landing batch files hold; a malformed line fails the job."""
    schema = StructType([field for field in lake.struct_type(BRONZE_DOCUMENTS) if field.name not in _ADDED_HERE])
    batch_number = sql.regexp_extract("_metadata.file_name", r"^(\d+)", 1).cast("bigint")
    # Spark reads paths as patterns, and a home folder may well be called "notes [old]".
    literal = [re.sub(r"([\\\[\]{}*?])", r"\\\1", str(path)) for path in paths]
    return (
        spark.read.schema(schema)
        .option("mode", "FAILFAST")
        .json(literal)
        .select(*schema.names, batch_number.alias("landing_batch"))
        .withColumn("created_timestamp", sql.lit(created_timestamp))
    )
