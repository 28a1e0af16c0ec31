"""A jar that is not the one that was locked, met by `ragstone ingest`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import Settings


def test_a_wrong_jar_stops_ingest_by_name_and_loses_nothing_that_was_fetched(settings: Settings, tmp_path: Path):
    documents, assets = tmp_path / "documents", tmp_path / "assets"
    documents.mkdir()
    for name in ("a", "b"):
        (documents / f"{name}.md").write_text(f"# {name}\n\nA text.\n", "utf-8")
    shutil.copytree(settings.assets / "jars", assets / "jars")
    wrong = assets / "jars" / "dqdl-1.0.0.jar"
    wrong.write_bytes(b"another jar")
    variables = {"RAGSTONE_ASSETS": str(assets), "RAGSTONE_SOURCES": json.dumps({"docs": {"root": str(documents)}})}

    ran = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "--home", str(settings.home), "ingest"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 4
    for fact in (
        "software.amazon.glue:dqdl:1.0.0",
        str(wrong),
        hashlib.sha256(b"another jar").hexdigest(),
        "8382887bd34e23a426e3824520e69ba59e9666f567a4f7bad2a6b40348cdaa6e",
        "python -m ragstone.runtime.jars",
    ):
        assert fact in ran.stderr
    (batch,) = LandingZone(settings.landing_root).read_batches(after=0)
    assert [Path(envelope.source_uri).name for envelope in batch.envelopes] == ["a.md", "b.md"]
