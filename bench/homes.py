"""Homes for figures: in a temporary folder, with a Redis server of their own, and nothing left of either afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from ragstone.runtime.logging import configure_logging
from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import LogSettings, Settings, load_settings

CORES: Final = 2
# Where set-up put things is a fact of the machine; every other variable would change what is measured, or where.
_KEPT: Final = frozenset({"RAGSTONE_ASSETS", "RAGSTONE_SPARK_JAVA_HOME"})


def forget_environment() -> None:
    """Take Ragstone's variables out of this process's environment, and so out of its children's.

    So is the one that makes every command compile every module again.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    for name in [name for name in os.environ if name.startswith("RAGSTONE_") and name not in _KEPT]:
        del os.environ[name]


@contextmanager
def temporary_home(**sections: Any) -> Iterator[Settings]:
    """Lend the settings of a new home; its `conf.yaml` holds `sections`, so that commands see the same ones."""
    folder = Path(tempfile.mkdtemp(prefix="ragstone-bench-"))
    home = folder / "home"
    home.mkdir()
    (home / "conf.yaml").write_text(yaml.safe_dump({"spark": {"master": f"local[{CORES}]"}, **sections}), "utf-8")
    settings = load_settings(home=home)
    # Steps that this process runs itself would otherwise drown the progress.
    configure_logging(LogSettings(level="warning"))
    try:
        yield settings
    finally:
        stop_redis(settings)
        shutil.rmtree(folder)


def ragstone(settings: Settings, *arguments: str) -> list[str]:
    """Return the command line that runs a command of this installation on a home."""
    return [str(Path(sys.executable).with_name("ragstone")), "--home", str(settings.home), *arguments]


def run_command(command: list[str]) -> str:
    """Run a command and return its standard output; all it says is shown when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stderr + done.stdout)
        done.check_returncode()
    return done.stdout
