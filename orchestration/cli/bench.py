"""`ragstone bench`: the figures, as `make bench` prints them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from ragstone.runtime.errors import UsageError

app = typer.Typer()

_PROJECT = Path(__file__).resolve().parents[2]


@app.command()
def bench(full: Annotated[bool, typer.Option("--full", help="At full sizes, resumable by figure.")] = False) -> None:
    """Measure the figures against their rivals; one JSON line each."""
    if not (_PROJECT / "bench" / "__main__.py").is_file():
        raise UsageError(
            "the figures are measured from a clone of the repository",
            where=str(_PROJECT),
            wanted="the folder bench",
            next_step="clone the repository, then make bench",
        )
    # A process of its own: figures must not be measured in one that has other things in memory.
    command = [sys.executable, "-m", "bench", *(["--full"] if full else [])]
    raise typer.Exit(subprocess.run(command, cwd=_PROJECT, check=False).returncode)
