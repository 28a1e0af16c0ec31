"""Reads every file below a folder once: `python -m bench.read_home HOME`. Prints how many files and bytes there were.

Parquet and Arrow files are decoded into memory, all other files are read as bytes; nothing is looked at.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ragstone.lake.decode import kind_of


def main(home: Path) -> None:
    """Read everything and print the counts as JSON."""
    files = [path for path in sorted(home.rglob("*")) if path.is_file()]
    print(json.dumps({"files": len(files), "bytes": sum(map(_read, files))}), flush=True)


def _read(path: Path) -> int:
    kind = kind_of(path)
    if kind == "parquet":
        return int(pq.ParquetFile(path).read().nbytes)
    if kind == "arrow":
        with pa.memory_map(str(path)) as source:
            return int(pa.ipc.open_file(source).read_all().nbytes)
    return len(path.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
