"""Homes that share one landing zone, so that whatever happens to a run, its rows can be held against a clean run's."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import psutil

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read
from ragstone.runtime.settings import Settings, load_settings
from tests.business_rows import business_rows, silver_tables

_SCRIPT = Path(sys.executable).parent / "ragstone"


@dataclass(frozen=True)
class World:
    """A home and the command line that runs the lake's part of the pipeline on it."""

    home: Path
    log: Path

    @property
    def settings(self) -> Settings:
        return load_settings(home=self.home)

    def start(self) -> subprocess.Popen[str]:
        """Start a run; its output goes to a file."""
        with self.log.open("a") as log:
            command = [_SCRIPT, "--home", self.home, "run", "--to", "embed"]
            return subprocess.Popen(command, stdout=log, stderr=log, text=True)

    def run(self) -> int:
        """Run to the end and return the exit code."""
        return self.start().wait()

    @property
    def told(self) -> str:
        """Return everything its runs have said."""
        return self.log.read_text()

    def rows(self) -> dict[str, list[tuple[str, ...]]]:
        """Return what the lake holds, by table, but for when and by whom it was written."""
        tables = (BRONZE_DOCUMENTS, *silver_tables(self.settings))
        return {spec.name: business_rows(self.settings.lake_root, spec) for spec in tables}

    def readable_rows(self) -> int:
        """Return how many rows can be read now, in all; raises when a table is broken."""
        tables = (BRONZE_DOCUMENTS, *silver_tables(self.settings))
        root = self.settings.lake_root
        return sum(read.query(root, "SELECT count(*) AS n FROM t", t=spec)["n"][0].as_py() for spec in tables)

    def processes(self) -> list[psutil.Process]:
        """Return the processes that work on this home: they have it on their command line or in their environment."""
        return [process for process in psutil.process_iter() if _mentions(process, str(self.home))]


def branch(origin: World, home: Path) -> World:
    """Return a world with the same configuration and landing zone as another, and nothing else."""
    home.mkdir(parents=True)
    shutil.copytree(origin.settings.landing_root, home / "landing")
    shutil.copy(origin.home / "conf.yaml", home / "conf.yaml")
    return World(home, origin.log.with_name(f"{uuid.uuid4().hex}.log"))


def _mentions(process: psutil.Process, home: str) -> bool:
    try:
        return any(home in text for text in (*process.cmdline(), *process.environ().values()))
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return False
