"""The jars Spark loads: named and hashed in `conf/jars.lock`, fetched once at set-up, verified before each use.

`python -m ragstone.runtime.jars [GROUP ...]` fetches what is missing or wrong, one jar at a time and without
transitives, because deequ's own POM leads to a jar that is not to be had. Nothing is fetched at run time.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ragstone.runtime.errors import ConfigError, DependencyUnavailableError, RagstoneError, exit_code
from ragstone.runtime.logging import configure_logging, get_logger
from ragstone.runtime.settings import Settings, load_settings
from ragstone.runtime.source_settings import KafkaSource

CORE_GROUP = "core"
KAFKA_GROUP = "kafka"
_FETCH_TIMEOUT_S = 60


@dataclass(frozen=True)
class LockedJar:
    """One line of the lock. `sha256` is of the file, in hexadecimal."""

    group_id: str
    artifact_id: str
    version: str
    sha256: str

    @property
    def coordinate(self) -> str:
        """Return the Maven coordinate, `group:artifact:version`."""
        return f"{self.group_id}:{self.artifact_id}:{self.version}"

    @property
    def file_name(self) -> str:
        """Return the name the jar has in the assets folder."""
        return f"{self.artifact_id}-{self.version}.jar"


def locked_jars(lock: Path, group: str) -> tuple[LockedJar, ...]:
    """Return the jars of one group, in the lock's order. Raises ConfigError."""
    try:
        groups = tomllib.loads(lock.read_text("utf-8"))
        return tuple(_locked(coordinate, sha256) for coordinate, sha256 in groups[group].items())
    except KeyError as missing:
        raise ConfigError(
            "there is no such group of jars", where=str(lock), got=group, wanted=", ".join(groups)
        ) from missing
    except (OSError, ValueError, AttributeError) as broken:
        raise ConfigError(
            "the lock of jars cannot be read", where=str(lock), got=broken, wanted='"group:artifact:version" = "sha256"'
        ) from broken


def _locked(coordinate: str, sha256: str) -> LockedJar:
    group_id, artifact_id, version = coordinate.split(":")
    return LockedJar(group_id, artifact_id, version, sha256)


def jar_paths(settings: Settings, group: str = CORE_GROUP) -> list[Path]:
    """Return the verified jars of a group, in the lock's order; each file is hashed once per process.

    Raises DependencyUnavailableError when a jar is missing or is not the one that was locked.
    """
    return [_verified(settings.assets / "jars", jar, group) for jar in locked_jars(settings.conf / "jars.lock", group)]


def spark_jar_paths(settings: Settings) -> list[Path]:
    """Return the verified jars this home's Spark loads: `core`, and `kafka` where a source is a topic.

    Raises DependencyUnavailableError when a jar is missing or is not the one that was locked.
    """
    streams = any(isinstance(source, KafkaSource) for source in settings.sources.values())
    return [path for group in (CORE_GROUP, *([KAFKA_GROUP] if streams else [])) for path in jar_paths(settings, group)]


def fetch_jars(settings: Settings, group: str = CORE_GROUP) -> list[Path]:
    """Fetch the group's jars that are missing or wrong, and return all of them. Raises DependencyUnavailableError."""
    folder = settings.assets / "jars"
    folder.mkdir(parents=True, exist_ok=True)
    for jar in locked_jars(settings.conf / "jars.lock", group):
        path = folder / jar.file_name
        if not path.is_file() or _sha256(path) != jar.sha256:
            _fetch(jar, path)
            get_logger(__name__).info("jar fetched", jar=jar.coordinate, bytes=path.stat().st_size)
    return jar_paths(settings, group)


@functools.cache
def _verified(folder: Path, jar: LockedJar, group: str) -> Path:
    path = folder / jar.file_name
    got = _sha256(path) if path.is_file() else "no file"
    if got != jar.sha256:
        command = "python -m ragstone.runtime.jars" + ("" if group == CORE_GROUP else f" {group}")
        raise DependencyUnavailableError(
            f"the jar {jar.coordinate} is not the one that was locked"
            if path.is_file()
            else f"no jar {jar.coordinate}",
            where=str(path),
            got=got,
            wanted=f"SHA-256 {jar.sha256}",
            next_step=f"fetch it with `{command}`",
        )
    return path


def _fetch(jar: LockedJar, path: Path) -> None:
    """Download one jar beside its place, verify it, and move it there at once."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as scratch:
        fetched = _download(jar, Path(scratch))
        got = _sha256(fetched)
        if got != jar.sha256:
            raise DependencyUnavailableError(
                f"the repository served another file for {jar.coordinate}",
                where=str(path),
                got=got,
                wanted=f"SHA-256 {jar.sha256}",
                next_step="find out who changed it: a released jar never changes",
            )
        whole = Path(scratch) / jar.file_name
        shutil.copyfile(fetched, whole)
        whole.replace(path)


def _download(jar: LockedJar, scratch: Path) -> Path:
    # Only set-up needs the client, which takes a while to import.
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=scratch / "cache", timeout=_FETCH_TIMEOUT_S)
    component = context.project(jar.group_id, jar.artifact_id).at_version(jar.version)
    try:
        return Path(component.artifact().resolve())
    except Exception as failed:
        raise DependencyUnavailableError(
            f"the jar {jar.coordinate} cannot be fetched",
            got=f"{type(failed).__name__}: {failed}",
            wanted="an answer from the Maven repository",
            next_step="check the network; behind a private authority set REQUESTS_CA_BUNDLE",
        ) from failed


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Fetch the named groups, `core` when none is named; return a process exit code."""
    try:
        settings = load_settings()
        configure_logging(settings.log)
        for group in arguments or [CORE_GROUP]:
            fetch_jars(settings, group)
    except RagstoneError as error:
        get_logger(__name__).error(error.what, **error.facts())
        return exit_code(error)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
