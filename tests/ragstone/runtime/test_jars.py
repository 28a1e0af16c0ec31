from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError
from ragstone.runtime.jars import jar_paths, locked_jars, main, spark_jar_paths
from ragstone.runtime.settings import Settings, load_settings

CONTENT = b"a jar"


@pytest.fixture
def locked(tmp_path: Path) -> Settings:
    """Settings whose lock names one jar, and whose assets hold it."""
    conf, jars = tmp_path / "conf", tmp_path / "assets" / "jars"
    conf.mkdir()
    jars.mkdir(parents=True)
    (conf / "jars.lock").write_text(f'[core]\n"org.example:thing_2.12:1.0" = "{hashlib.sha256(CONTENT).hexdigest()}"\n')
    (jars / "thing_2.12-1.0.jar").write_bytes(CONTENT)
    return load_settings(home=tmp_path, conf=conf, assets=tmp_path / "assets")


def test_the_locked_jars_of_this_repository_are_installed_and_right(settings: Settings):
    names = [path.name for path in jar_paths(settings)]

    assert names == [
        "delta-spark_2.12-3.3.3.jar",
        "delta-storage-3.3.3.jar",
        "deequ-2.1.0-spark-3.5.jar",
        "dqdl-1.0.0.jar",
    ]


def test_a_right_jar_is_found(locked: Settings, tmp_path: Path):
    assert jar_paths(locked) == [tmp_path / "assets" / "jars" / "thing_2.12-1.0.jar"]


def test_a_wrong_jar_is_refused_by_name_with_both_hashes_and_the_command(locked: Settings, tmp_path: Path):
    (tmp_path / "assets" / "jars" / "thing_2.12-1.0.jar").write_bytes(b"another jar")

    with pytest.raises(DependencyUnavailableError, match=r"org\.example:thing_2\.12:1\.0") as refused:
        jar_paths(locked)

    assert refused.value.got == hashlib.sha256(b"another jar").hexdigest()
    assert hashlib.sha256(CONTENT).hexdigest() in str(refused.value.wanted)
    assert "python -m ragstone.runtime.jars" in str(refused.value.next_step)


def test_a_missing_jar_is_refused(locked: Settings, tmp_path: Path):
    (tmp_path / "assets" / "jars" / "thing_2.12-1.0.jar").unlink()

    with pytest.raises(DependencyUnavailableError, match="no jar") as refused:
        jar_paths(locked)

    assert refused.value.got == "no file"


def test_an_unknown_group_names_the_known_ones(locked: Settings):
    with pytest.raises(ConfigError) as refused:
        jar_paths(locked, "kafka")

    assert (refused.value.got, refused.value.wanted) == ("kafka", "core")


@pytest.mark.parametrize("lock", ["not = [toml", '[core]\n"no-version" = "00"\n', "core = 1\n"])
def test_a_broken_lock_is_refused(tmp_path: Path, lock: str):
    path = tmp_path / "jars.lock"
    path.write_text(lock)

    with pytest.raises(ConfigError, match="cannot be read"):
        locked_jars(path, "core")


def test_spark_loads_the_jars_of_kafka_only_for_a_topic(home: Path):
    topic = {"kind": "kafka", "servers": "127.0.0.1:9092", "topic": "notes"}

    without = {path.name for path in spark_jar_paths(load_settings(home=home))}
    with_topic = {path.name for path in spark_jar_paths(load_settings(home=home, sources={"notes": topic}))}

    assert {path.split("-3")[0] for path in with_topic - without if "kafka" in path} == {
        "spark-sql-kafka-0-10_2.12",
        "spark-token-provider-kafka-0-10_2.12",
        "kafka-clients",
    }


def test_fetching_what_is_there_asks_nobody(locked: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RAGSTONE_ASSETS", str(locked.assets))
    monkeypatch.setenv("RAGSTONE_CONF", str(locked.conf))

    assert main([]) == 0
    assert main(["kafka"]) == 2


def test_every_group_of_the_lock_names_jars_by_hash(settings: Settings):
    for group in ("core", "kafka", "s3", "kafka-broker"):
        for jar in locked_jars(settings.conf / "jars.lock", group):
            assert len(bytes.fromhex(jar.sha256)) == 32
            assert jar.version in jar.file_name
