import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragstone.runtime.spark_properties import class_archive, spark_environment
from spark_jobs.session import open_session

pytestmark = pytest.mark.spark

STARTED_PLAINLY = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from ragstone.runtime.errors import ConfigError
from ragstone.runtime.settings import load_settings
from spark_jobs.session import open_session
SparkSession.builder.master("local[1]").getOrCreate()
try:
    open_session(load_settings(home=Path(sys.argv[1])))
except ConfigError as error:
    print(error)
"""

OPENED_TWICE = """
import sys
from pathlib import Path
from ragstone.runtime.settings import load_settings
from spark_jobs.session import close_session, open_session
settings = load_settings(home=Path(sys.argv[1]))
close_session()
for _ in range(2):
    print(open_session(settings).range(3).count())
    close_session()
"""


def test_a_session_that_was_closed_can_be_opened_again(settings):
    command = [sys.executable, "-c", OPENED_TWICE, str(settings.home)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "3\n3\n", done.stderr


def test_a_process_has_one_session(spark, settings):
    assert open_session(settings) is spark


def test_the_session_has_the_properties_of_the_generated_file(spark):
    assert spark.conf.get("spark.sql.session.timeZone") == "UTC"
    assert spark.conf.get("spark.sql.shuffle.partitions") == "2"
    assert "delta" in spark.conf.get("spark.driver.extraClassPath")


def test_the_driver_maps_the_archive_of_classes_that_set_up_made(spark, settings):
    driver = spark._jvm.java.lang.ProcessHandle.current().pid()
    mapped = {line.split()[-1] for line in Path(f"/proc/{driver}/maps").read_text("utf-8").splitlines()}
    assert str(class_archive(settings)) in mapped


def test_a_jvm_that_was_started_without_our_properties_is_refused(settings):
    environment = {**os.environ, **spark_environment(settings)}
    del environment["PYSPARK_SUBMIT_ARGS"]
    command = [sys.executable, "-c", STARTED_PLAINLY, str(settings.home)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Spark was started without Ragstone's properties" in done.stdout, done.stderr
    assert "--properties-file" in done.stdout
