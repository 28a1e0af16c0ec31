from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragstone.runtime.settings import Settings, load_settings
from ragstone.runtime.spark_properties import spark_environment, spark_properties, write_spark_properties

JOB = """
import json
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
jvm = spark._jvm
told = {
    "master": spark.conf.get("spark.master"),
    "heap_mb": jvm.Runtime.getRuntime().maxMemory() // 2**20,
    "zone": jvm.java.util.TimeZone.getDefault().getID(),
    "collectors": [bean.getName() for bean in jvm.java.lang.management.ManagementFactory.getGarbageCollectorMXBeans()],
    "loopback": spark.sparkContext.getConf().get("spark.driver.host"),
    "micros": spark.sql("select cast(timestamp'1970-01-01 00:00:01' as long)").first()[0],
    "worker": spark.sparkContext.parallelize([1], 1).map(lambda _: __import__("sys").executable).first(),
}
spark.range(3).write.format("delta").save(f"{PLACE}/table")
told["rows"] = spark.read.format("delta").load(f"{PLACE}/table").count()
import pydeequ.dqdl
print(json.dumps(told))
"""


def test_the_file_is_written_once_and_again_only_when_it_would_differ(settings: Settings):
    path = write_spark_properties(settings)
    written = path.stat().st_mtime_ns

    assert write_spark_properties(settings).stat().st_mtime_ns == written

    path.write_text("spark.master yarn\n")
    assert "spark.master local[2]" in write_spark_properties(settings).read_text("utf-8").splitlines()


def test_settings_reach_the_properties(home: Path):
    settings = load_settings(home=home, spark={"driver_memory": "3g", "shuffle_partitions": 7, "master": "local[4]"})

    properties = spark_properties(settings)

    assert properties["spark.driver.memory"] == "3g"
    assert properties["spark.master"] == "local[4]"
    assert properties["spark.sql.shuffle.partitions"] == "7"
    assert properties["spark.databricks.delta.snapshotPartitions"] == "7"


def test_a_cluster_gets_no_laptop_options(home: Path):
    settings = load_settings(home=home, spark={"master": "spark://10.0.0.1:7077"})

    properties, environment = spark_properties(settings), spark_environment(settings)

    assert "spark.driver.host" not in properties
    assert "TieredStopAtLevel" not in properties["spark.driver.extraJavaOptions"]
    assert "SPARK_LOCAL_IP" not in environment


def test_what_spark_leaves_lies_below_the_home(settings: Settings):
    # A container's user may have no folder of its own, and Spark makes these before it looks whether they are needed.
    properties = spark_properties(settings)

    assert properties["spark.jars.ivy"].startswith(f"{settings.home}/spark/")
    assert properties["spark.sql.warehouse.dir"].startswith((settings.home / "spark").as_uri())


@pytest.mark.spark
@pytest.mark.full
def test_plain_spark_submit_takes_them_over_and_says_nothing_on_a_healthy_run(tmp_path: Path):
    # Blanks in the path are what breaks option lists and properties files.
    settings = load_settings(home=tmp_path / "a home")
    job = tmp_path / "job.py"
    job.write_text(JOB.replace("{PLACE}", str(tmp_path / "a home")))
    environment = spark_environment(settings)

    submit, properties = f"{environment['SPARK_HOME']}/bin/spark-submit", str(write_spark_properties(settings))
    ran = subprocess.run(
        [submit, "--properties-file", properties, str(job)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stderr == ""
    told = json.loads(ran.stdout)
    assert 900 <= told.pop("heap_mb") <= 1024
    assert told == {
        "master": "local[2]",
        "zone": "UTC",
        "collectors": ["Copy", "MarkSweepCompact"],
        "loopback": "127.0.0.1",
        "micros": 1,
        "worker": sys.executable,
        "rows": 3,
    }
