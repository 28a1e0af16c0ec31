"""The demo itself, as its command runs it: real everything, six acts, with the documents a seed chooses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Enough for the documents of the five questions and a choice of others; `make demo` plays with its full size.
CHARACTERS = 150_000
MORE_SEEDS = range(2, 12)


def played(home: Path, seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "orchestration.cli", "--json", "--home", str(home), "demo"]
    ended = subprocess.run(
        [*command, "--seed", str(seed), "--characters", str(CHARACTERS)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{ended.stdout[-2_000:]}\n{ended.stderr[-2_000:]}"
    return dict(json.loads(ended.stdout))


def rows_of(act: dict[str, Any], title: str) -> list[dict[str, Any]]:
    panel = next(panel for panel in act["panels"] if panel["title"].startswith(title))
    return [dict(zip(panel["columns"], row, strict=True)) for row in panel["rows"]]


@pytest.mark.spark
def test_all_six_acts_hold_what_they_say(tmp_path):
    home = tmp_path / "demo"

    acts = {act["number"]: act for act in played(home, seed=1)["acts"]}

    assert sorted(acts) == [1, 2, 3, 4, 5, 6]
    assert all(act["asserted"] and act["panels"] for act in acts.values())
    for number in (1, 3, 4):
        for step in rows_of(acts[number], "The steps"):
            assert step["rows in"] == step["rows out"] + step["unchanged"] + step["rejected"]
    assert len(rows_of(acts[2], "Questions")) == 6
    assert all(step["written"] == 0 for step in rows_of(acts[3], "The steps"))
    assert [row["when"] for row in rows_of(acts[4], "Questions")][:2] == [
        "just before the delete",
        "the very next question",
    ]
    assert rows_of(acts[5], "Where")[-1]["link"] == "source file"
    times = rows_of(acts[6], "The event_timestamp")
    assert len(times) == 4 * len(rows_of(acts[6], "The features"))
    assert all(row["features'"] <= row["label's"] for row in times)
    assert not (home / "redis/server.json").exists()


@pytest.mark.full
@pytest.mark.spark
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_the_acts_hold_whichever_documents_are_chosen(tmp_path, seed):
    played(tmp_path / "demo", seed)
