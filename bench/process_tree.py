"""Runs a command and prints the processor seconds of every process it started, as the last line on standard output.

`python -m bench.process_tree COMMAND...`. A JVM, and the workers it starts, end after the command that started the JVM:
on Linux they are adopted and waited for. Elsewhere only what their parents waited for is counted.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36


def main(command: list[str]) -> int:
    """Run the command, wait for all it leaves behind, print what they spent and return the command's exit code."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    code = subprocess.run(command, check=False).returncode
    _wait_for_orphans()
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(spent.ru_utime + spent.ru_stime, flush=True)
    return code


def _wait_for_orphans() -> None:
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
