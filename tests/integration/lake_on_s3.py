"""A table of the lake on S3A: created and written by Spark, read and written by deltalake. Prints what it saw as JSON.

`python -m tests.integration.lake_on_s3 ENDPOINT BUCKET HOME`, in a process of its own, for its JVM needs other jars.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from py4j.protocol import Py4JError

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.lake.schema import arrow_schema, table_properties
from ragstone.runtime.jars import jar_paths
from ragstone.runtime.settings import load_settings
from ragstone.runtime.spark_properties import spark_environment, spark_properties
from tests.factories import make_chunk_row

KEYS = ("access", "secret")
S3A = {"path.style.access": "true", "connection.ssl.enabled": "false", "access.key": KEYS[0], "secret.key": KEYS[1]}
GOOD = make_chunk_row("A text.", "guide.md")
BAD = {**GOOD, "chunk_id": "too short"}


def main(endpoint: str, bucket: str, home: str) -> None:
    settings = load_settings(home=Path(home))
    os.environ.update(spark_environment(settings))
    from delta.tables import DeltaTable as SparkTable
    from pyspark.sql import SparkSession

    from spark_jobs.lake import struct_type

    jars = ",".join(jar.as_uri() for jar in (*jar_paths(settings), *jar_paths(settings, "s3")))
    properties = {**spark_properties(settings), "spark.jars": jars, "spark.hadoop.fs.s3a.endpoint": endpoint}
    builder = SparkSession.builder.appName("a lake on S3")
    for name, value in {**properties, **{f"spark.hadoop.fs.s3a.{name}": value for name, value in S3A.items()}}.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    path, schema = f"s3a://{bucket}/silver/chunks", struct_type(SILVER_CHUNKS)

    table = SparkTable.createIfNotExists(spark).location(path).addColumns(schema)
    for name, value in table_properties(SILVER_CHUNKS).items():
        table = table.property(name, value)
    table.execute()

    def append(row, version):
        rows = spark.createDataFrame([tuple(row[name] for name in SILVER_CHUNKS.column_names)], schema)
        writer = rows.write.format("delta").mode("append").option("txnAppId", "a step")
        writer.option("txnVersion", version).save(path)

    append(GOOD, 1)
    append(GOOD, 1)  # the same transaction: taken once
    seen = {"spark_refuses_a_bad_row": _refused(lambda: append(BAD, 2), Py4JError)}
    told = {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1]}
    options = {**told, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true", "aws_conditional_put": "etag"}
    found = DeltaTable(f"s3://{bucket}/silver/chunks", storage_options=options)
    seen |= {
        "reader_version": found.protocol().min_reader_version,
        "transaction": found.transaction_version("a step"),
        "rows": found.to_pyarrow_table().num_rows,
        "deltalake_refuses_a_bad_row": _refused(lambda: write_deltalake(found, _table(BAD), mode="append"), DeltaError),
    }
    write_deltalake(found, _table(GOOD), mode="append")
    seen["rows_after"] = spark.read.format("delta").load(path).count()
    spark.stop()
    sys.stdout.write(json.dumps(seen))


def _table(row):
    return pa.Table.from_pylist([row], schema=arrow_schema(SILVER_CHUNKS))


def _refused(write, error):
    try:
        write()
    except error:
        return True
    return False


if __name__ == "__main__":
    main(*sys.argv[1:])
