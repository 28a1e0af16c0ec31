"""Frames of rows that stand in the driver: no action is run and no worker started to make one.

pyspark's own way from a list of rows goes through Python workers; from Arrow it does not, but only for pandas.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_schema


def driver_frame(spark: SparkSession, rows: pa.Table) -> DataFrame:
    """Return Arrow rows as a frame with the same columns. Meant for some thousand rows, not for millions."""
    schema = from_arrow_schema(rows.schema)
    jvm: Any = spark._jvm
    with tempfile.TemporaryDirectory(prefix="ragstone-") as folder:
        stream = Path(folder) / "rows.arrow"
        with pa.ipc.new_stream(stream, rows.schema) as writer:
            writer.write_table(rows)
        utils = jvm.org.apache.spark.sql.api.python.PythonSQLUtils
        frame = utils.toDataFrame(utils.readArrowStreamFromFile(str(stream)), schema.json(), spark._jsparkSession)
    return DataFrame(frame, spark)


def stands_in_driver(frame: DataFrame) -> bool:
    """Return whether all rows a frame is made from stand in the driver."""
    leaves: Any = frame._jdf.queryExecution().analyzed().collectLeaves()
    return all(leaves.apply(at).nodeName() == "LocalRelation" for at in range(leaves.size()))
