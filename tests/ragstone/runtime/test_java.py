from __future__ import annotations

from pathlib import Path

import pytest

from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.java import java_home, java_major
from ragstone.runtime.settings import Settings, load_settings


def written_java(folder: Path, version: str) -> Path:
    """A Java home as far as it is looked at: its release file and its program."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").touch()
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


def test_some_java_17_is_found_here(settings: Settings):
    assert java_major(java_home(settings)) == 17


@pytest.mark.parametrize(("version", "major"), [("17.0.9", 17), ("21", 21), ("1.8.0_392", 8)])
def test_the_version_is_read_from_the_release_file(tmp_path: Path, version: str, major: int):
    assert java_major(written_java(tmp_path, version)) == major


def test_without_a_release_file_the_program_is_asked(tmp_path: Path):
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\" 2021-10-19' >&2\n")
    program.chmod(0o755)

    assert java_major(tmp_path) == 17


def test_an_empty_folder_is_no_java(tmp_path: Path):
    assert java_major(tmp_path) is None


def test_a_configured_java_of_another_version_is_refused(tmp_path: Path, home: Path):
    settings = load_settings(home=home, spark={"java_home": written_java(tmp_path / "jdk", "21.0.1")})

    with pytest.raises(DependencyUnavailableError, match=r"spark\.java_home is not a Java 17") as refused:
        java_home(settings)

    assert (refused.value.got, refused.value.wanted) == ("Java 21", "Java 17")


def test_java_home_of_the_environment_is_taken_when_it_is_a_17(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    wished = written_java(tmp_path / "jdk", "17.0.9")
    monkeypatch.setenv("JAVA_HOME", str(wished))

    assert java_home(settings) == wished


def test_java_home_of_the_environment_is_passed_over_when_it_is_not(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    wished = written_java(tmp_path / "jdk", "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(wished))

    assert java_home(settings) != wished


def test_with_no_java_on_the_path_the_wheel_has_one(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)

    assert java_major(java_home(settings)) == 17


@pytest.fixture(autouse=True)
def forgotten() -> None:
    from ragstone.runtime import java

    java._java_home.cache_clear()
