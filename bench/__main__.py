"""Measures every figure and prints one JSON line each.

`python -m bench` takes twenty minutes at most. `python -m bench --full` has no limit and is resumable by figure: one
that stands in `bench/results/full.jsonl` is not measured again; remove its line to have it measured anew.
"""

from __future__ import annotations

import argparse
import importlib
import json
import signal
import sys
from pathlib import Path

from bench.harness import Scale, tell
from bench.homes import forget_environment

FIGURES = (
    "embed_job",
    "index_build_read",
    "index_rollback",
    "quantised_search",
    "retrieval_stage",
    "chat_http_share",
    "training_set",
    "materialize",
    "online_read",
    "unchanged_rerun",
    "unchanged_seconds",
    "edit_cost",
    "edit_growth",
    "purge_cost",
)
RESULTS = Path(__file__).parent / "results" / "full.jsonl"


def main(argv: list[str] | None = None, results: Path = RESULTS) -> int:
    """Measure the figures that were asked for; return 0 even when a goal is not met, which the lines say.

    `results` keeps the lines of full runs. Raises OutputsDifferError when the sides of a figure do not agree.
    """
    arguments = _parsed(argv)
    done = _done(results) if arguments.full else set()
    for name in arguments.figures or FIGURES:
        if name in done:
            tell(f"{name} stands in {results}")
            continue
        tell(name)
        measured = importlib.import_module(f"bench.figures.{name}").measure(Scale(arguments.full, arguments.shrink))
        print(measured.line(name), flush=True)
        if arguments.full and arguments.shrink == 1:
            _keep(results, measured.line(name))
    return 0


def _parsed(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], help="which figures; all without any")
    parser.add_argument("--full", action="store_true", help="full sizes, resumable by figure")
    parser.add_argument("--shrink", type=int, default=1, metavar="N", help="divide all sizes by N, to try a figure out")
    return parser.parse_args(argv)


def _done(results: Path) -> set[str]:
    lines = results.read_text("utf-8").splitlines() if results.exists() else []
    return {json.loads(line)["figure"] for line in lines}


def _keep(results: Path, line: str) -> None:
    results.parent.mkdir(exist_ok=True)
    with results.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


if __name__ == "__main__":
    # Ended from outside, a run leaves no home and no server behind either.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    forget_environment()
    sys.exit(main())
