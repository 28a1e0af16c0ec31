"""What a million chunks cost, step by step: first runs at two sizes, and the line through them.

`python -m bench.scaling [SMALL LARGE]`, in documents of some ten chunks, really encoded. Prints one JSON line: for each
step the processor seconds at both sizes and what the slope between them makes of a million chunks, in processor hours.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import made_up
from bench.homes import run_command, temporary_home
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.lake import read

_MILLION = 1_000_000
_HOUR_S = 3_600


def first_run(documents: int) -> tuple[int, dict[str, float]]:
    """Return how many chunks a first run made and the processor seconds of each step, JVM included."""
    with TemporaryDirectory(prefix="ragstone-bench-") as folder:
        source = Path(folder) / "documents"
        made_up.write_documents(source, made_up.texts(documents * made_up.CHUNKS_PER_DOCUMENT))
        with temporary_home(sources={"made-up": {"root": str(source)}}) as settings:
            told: dict[str, Any] = json.loads(
                run_command([sys.executable, "-m", "bench.step_costs", str(settings.home)])
            )
            chunks = read.state(settings.lake_root, SILVER_CHUNKS, columns=("chunk_id",)).num_rows
    return chunks, {step: cost["python_cpu_s"] + cost["jvm_cpu_s"] for step, cost in told.items()}


def main(small: int, large: int) -> None:
    """Measure both sizes and print the line."""
    (few, cheap), (many, dear) = first_run(small), first_run(large)
    steps = {
        step: {
            "cpu_s": [round(cheap[step], 1), round(dear[step], 1)],
            "cpu_h_per_million": round((dear[step] - cheap[step]) / (many - few) * _MILLION / _HOUR_S, 2),
        }
        for step in cheap
    }
    print(json.dumps({"chunks": [few, many], "steps": steps}), flush=True)


if __name__ == "__main__":
    main(*(map(int, sys.argv[1:]) if len(sys.argv) == 3 else (100, 400)))
