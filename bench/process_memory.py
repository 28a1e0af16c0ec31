"""How much memory a call takes at its peak: resident pages of this process, beyond what it began with. Linux only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import pyarrow as pa

_MEGABYTE: Final = 1_000_000


def peak_added_mb(call: Callable[[], object]) -> float:
    """Return by how many MB `call` raises the peak of resident memory over what this process has before it."""
    pa.default_memory_pool().release_unused()
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    before_mb = _memory_mb("VmRSS")
    call()
    return _memory_mb("VmHWM") - before_mb


def _memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1_024 / _MEGABYTE
