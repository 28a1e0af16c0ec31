"""Measures every figure and prints one JSON line each.

`python -m bench` takes twenty minutes at most. `python -m bench --full` has no limit and is resumable by figure: one
that stands in `bench/results/full.jsonl` is not measured again; remove its line to have it measured anew.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

from bench.harness import Scale

FIGURES = (
    "embed_job",
    "index_build_read",
    "retrieval_stage",
    "chat_http_share",
    "training_set",
    "unchanged_rerun",
)
RESULTS = Path(__file__).parent / "results" / "full.jsonl"


def main(argv: list[str] | None = None) -> int:
    """Measure the figures that were asked for; return 0 even when a goal is not met, which the lines say."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], help="which figures; all without any")
    parser.add_argument("--full", action="store_true", help="full sizes, resumable by figure")
    arguments = parser.parse_args(argv)
    done = _done() if arguments.full else set()
    for name in arguments.figures or FIGURES:
        if name in done:
            print(f"{name}: already in {RESULTS}", file=sys.stderr)
            continue
        line = importlib.import_module(f"bench.figures.{name}").measure(Scale(arguments.full)).line(name)
        print(line, flush=True)
        if arguments.full:
            _keep(line)
    return 0


def _done() -> set[str]:
    lines = RESULTS.read_text("utf-8").splitlines() if RESULTS.exists() else []
    return {json.loads(line)["figure"] for line in lines}


def _keep(line: str) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a", encoding="utf-8") as results:
        results.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
