"""Spark's and Delta's classes, parsed once at set-up: an archive that every driver on this machine maps.

`python -m spark_jobs.class_archive` runs the Spark steps over a few lines of text, notes the classes they load, and
dumps them (the JVM's class data sharing). A driver with another class path or another Java starts without the archive,
more slowly, and does the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import yaml

from ragstone.runtime.errors import DependencyUnavailableError, RagstoneError, exit_code
from ragstone.runtime.java import java_home
from ragstone.runtime.logging import configure_logging, get_logger
from ragstone.runtime.settings import Settings, load_settings
from ragstone.runtime.spark_properties import class_archive, empty_conf
from spark_jobs import embed_chunks, ingest_documents, preprocess_documents, validate_documents

_JOBS: Final = (ingest_documents, validate_documents, preprocess_documents, embed_chunks)
_TEXTS: Final = tuple(
    f"# Note {number}\n\nThis is a line. This is another line of note {number}.\n" for number in range(4)
)
_DUMP_S: Final = 300


def main() -> int:
    """Make the archive and return a process exit code."""
    settings = load_settings()
    configure_logging(settings.log)
    try:
        make_class_archive(settings)
    except RagstoneError as error:
        get_logger(__name__).error(error.what, **error.facts())
        return exit_code(error)
    return 0


def make_class_archive(settings: Settings) -> Path:
    """Write the archive anew and return its path. Starts a JVM and ends it. Raises DependencyUnavailableError."""
    path = class_archive(settings)
    path.unlink(missing_ok=True)
    # The JVM shares no classes when a folder on its class path has files.
    empty_conf(settings).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".dump-") as scratch:
        classes, made = Path(scratch) / "classes.lst", Path(scratch) / path.name
        class_path = _run_jobs(Path(scratch), classes)
        _dump(java_home(settings) / "bin" / "java", classes, class_path, made)
        made.replace(path)
    get_logger(__name__).info("class archive made", path=str(path), bytes=path.stat().st_size)
    return path


def _run_jobs(scratch: Path, classes: Path) -> str:
    """Run the steps in one JVM that lists the classes it loads, end it, and return its class path."""
    home = _home_with_notes(scratch)
    os.environ["JDK_JAVA_OPTIONS"] = f"-XX:DumpLoadedClassList={classes}"
    for job in _JOBS:
        if job.main(["--home", str(home)]) != 0:
            raise DependencyUnavailableError(
                "a Spark step failed at set-up", where=job.STEP, next_step="ragstone doctor"
            )
    del os.environ["JDK_JAVA_OPTIONS"]
    return _end_jvm()


def _home_with_notes(scratch: Path) -> Path:
    home, notes = scratch / "home", scratch / "notes"
    home.mkdir()
    notes.mkdir()
    for number, text in enumerate(_TEXTS):
        (notes / f"{number}.md").write_text(text, "utf-8")
    source = {"kind": "files", "root": str(notes), "include": ["**/*.md"], "acl": ["everyone"]}
    conf = {"sources": {"notes": source}, "log": {"level": "warning"}}
    (home / "conf.yaml").write_text(yaml.safe_dump(conf), "utf-8")
    return home


def _end_jvm() -> str:
    # The list is whole only when the JVM has ended in its own time, and pyspark leaves it to run until we end.
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    class_path: str = gateway.jvm.java.lang.System.getProperty("java.class.path")
    SparkContext.getOrCreate().stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()
    return class_path


def _dump(java: Path, classes: Path, class_path: str, made: Path) -> None:
    options = ["-Xshare:dump", f"-XX:SharedClassListFile={classes}", f"-XX:SharedArchiveFile={made}"]
    done = subprocess.run(
        [java, *options, "-cp", class_path], capture_output=True, text=True, timeout=_DUMP_S, check=False
    )
    if done.returncode != 0:
        raise DependencyUnavailableError(
            "Java cannot archive the classes of Spark",
            where=str(java),
            got=(done.stdout + done.stderr).strip()[-500:],
            wanted="a class archive",
            next_step="drivers start without it, more slowly; `python -m spark_jobs.class_archive` tries again",
        )


if __name__ == "__main__":
    sys.exit(main())
