"""The command line, run in this process as its script runs it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.cli import app


@dataclass(frozen=True)
class Told:
    """What one command line gave back."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def command(capsys, monkeypatch, home: Path):
    """Run a command line against the test's home and return its exit code and what it wrote."""
    monkeypatch.chdir(home.parent)
    handlers, level = logging.root.handlers[:], logging.root.level

    def run(*arguments: object, at_home: bool = True) -> Told:
        given = [str(argument) for argument in arguments]
        with pytest.raises(SystemExit) as ended:
            app.main([*(["--home", str(home)] if at_home else []), *given])
        told = capsys.readouterr()
        return Told(int(ended.value.code or 0), told.out, told.err)

    yield run
    # Commands configure logging for their process, which here is the test run's.
    logging.root.handlers[:], logging.root.level = handlers, level
