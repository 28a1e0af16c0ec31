from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ragstone.runtime.telemetry import OPT_OUTS
from tests.network_guard.plugin import network_guard

ENCODE = (
    "from ragstone.embedding.load import load_embedder\n"
    "from ragstone.runtime.settings import load_settings\n"
    "load_embedder(load_settings()).encode(['a text'])"
)


def files_left_by(script: str, home: Path) -> list[str]:
    """What a process without our variables leaves in its user's folders: a library that reports home keeps an id."""
    environment = {name: value for name, value in os.environ.items() if name not in OPT_OUTS}
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    subprocess.run([sys.executable, "-c", script], env={**environment, **places}, check=True)
    return [path.name for path in home.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("script", "left"),
    [(ENCODE, []), ("import onnxruntime", ["deviceid", "onnxruntime.db"])],
    ids=["our encoder", "onnxruntime left alone"],
)
def test_the_encoder_prepares_no_reports_where_onnxruntime_by_itself_does(tmp_path: Path, script: str, left: list[str]):
    # Left alone it also sends what it has when the process ends.
    with network_guard().expecting() if left else contextlib.nullcontext():
        assert sorted(files_left_by(script, tmp_path)) == left
