"""From a folder of one's own to a first answer, by the commands, with bad files among the good ones."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ragstone.runtime.redis_server import stop_redis
from ragstone.runtime.settings import load_settings

QUESTION = "How often is the sluice gate at Marrow Weir greased?"
BAD = {
    "empty.md": b"",
    "binary.txt": b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 8,
    "huge.txt": b"too large " * 200,
}


def ragstone(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "orchestration.cli", "--json", "--home", str(home), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


def document_of(ended: subprocess.CompletedProcess[str]) -> Any:
    assert ended.returncode == 0, f"{ended.stdout[-2_000:]}\n{ended.stderr[-2_000:]}"
    return json.loads(ended.stdout)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "handbook"
    folder.mkdir()
    (folder / "weir.md").write_text("# Weir\n\nThe sluice gate at Marrow Weir is greased every ninth day.\n")
    (folder / "latin.txt").write_bytes("Der Müller grüßt täglich die Fähre über die Örtze.\n".encode("latin-1") * 3)
    (folder / "page.html").write_text("<html><body><h1>Ferry</h1><p>The ferry rests on Sundays.</p></body></html>")
    for name, content in BAD.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def own_home(tmp_path):
    yield tmp_path / "home"
    stop_redis(load_settings(home=tmp_path / "home"))


@pytest.mark.spark
def test_a_folder_with_bad_files_gives_its_first_answer_and_sets_those_aside(own_home, folder):
    limit = {"RAGSTONE_INGEST_MAX_ITEM_BYTES": "1500"}

    told = document_of(ragstone(own_home, "init", str(folder), "--question", QUESTION, **limit))

    steps = {outcome["result"]["step"]: outcome["result"] for outcome in told["steps"]}
    assert told["found"]["taken"] == {".txt": 3, ".md": 2, ".html": 1}
    assert (steps["ingest"]["accepted"], steps["ingest"]["quarantined"]) == (3, 3)
    assert "every ninth day" in told["answer"]["answer"]
    assert told["answer"]["citations"][0]["source_uri"] == "weir.md"

    set_aside = {
        row["item_key"]: row["reason"] for row in document_of(ragstone(own_home, "quarantine", "ls"))["entries"]
    }
    assert set_aside.keys() == BAD.keys()
    assert all(set_aside.values())
    assert "1500" in set_aside["huge.txt"].replace(",", "")

    again = document_of(ragstone(own_home, "run", **limit))
    assert {outcome["result"]["status"] for outcome in again["steps"]} == {"unchanged"}
    assert document_of(ragstone(own_home, "stop")) == {"stopped": True}


def test_a_run_without_a_source_says_how_to_get_one(command):
    told = command("--json", "run")

    assert told.code == 2
    assert told.document["error"]["next"] == "ragstone init FOLDER"


def test_a_folder_that_is_not_there_is_refused(command, tmp_path):
    told = command("--json", "init", tmp_path / "nowhere")

    assert told.code == 2
    assert told.document["error"]["got"] == str(tmp_path / "nowhere")
