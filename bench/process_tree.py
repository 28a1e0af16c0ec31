"""Runs a command and prints the processor seconds of every process it started, as the last line on standard output.

`python -m bench.process_tree COMMAND...`. A JVM, and the workers it starts, end after the command that started the JVM:
on Linux they are adopted and waited for, and watched as well, because Spark's workers end without anybody waiting for
them, and what they spent is then lost. Elsewhere only what was waited for is counted.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_LOOK_EVERY_S: Final = 0.05


def main(command: list[str]) -> int:
    """Run the command, wait for all it leaves behind, print what they spent and return the command's exit code."""
    watch = _Watch()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        watch.start()
    code = subprocess.run(command, check=False).returncode
    _wait_for_orphans()
    watch.stop()
    waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
    # What was waited for is exact, but may lack workers; what was seen lacks last moments, but nobody.
    print(max(waited_for.ru_utime + waited_for.ru_stime, watch.seen_s()), flush=True)
    return code


def _wait_for_orphans() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def cpu_s_of_tree(pid: int) -> float:
    """Return what a living process, its living descendants and those it has waited for have spent. Linux only."""
    parents, _ = _processes()
    tree = [found for found in parents if found == pid or _descends(found, parents, pid)]
    return sum(map(_spent_ticks, tree)) / os.sysconf("SC_CLK_TCK")


class _Watch:
    """Looks at every descendant of this process, again and again, and remembers what each was last seen to have spent.

    Linux only.
    """

    def __init__(self) -> None:
        self._spent_ticks: dict[int, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def seen_s(self) -> float:
        return sum(self._spent_ticks.values()) / os.sysconf("SC_CLK_TCK")

    def _look(self) -> None:
        while not self._stopping.wait(_LOOK_EVERY_S):
            parents, spent_ticks = _processes()
            found = {pid: ticks for pid, ticks in spent_ticks.items() if _descends(pid, parents, os.getpid())}
            self._spent_ticks.update(found)


def _processes() -> tuple[dict[int, int], dict[int, int]]:
    """Return the parent of every process, and its processor time in clock ticks, without that of its children."""
    parents, spent_ticks = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, which ends at the last parenthesis, may hold anything.
            fields = path.read_text("utf-8", "replace").rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(path.parent.name)
        parents[pid], spent_ticks[pid] = int(fields[1]), int(fields[11]) + int(fields[12])
    return parents, spent_ticks


def _spent_ticks(pid: int) -> int:
    """Return a process's processor time with that of the children it has waited for, 0 when it has gone meanwhile."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:15]))


def _descends(pid: int, parents: Mapping[int, int], ancestor: int) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
