"""A publish that ends, or fails, at each of its file-system calls: `python -m` with template, folder, kind and step.

Every attempt runs in a process of its own, forked from one that has imported everything and started nothing, on a copy
of the template home. What was done is written to standard output: one JSON object per attempt.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragstone.runtime.settings import load_settings
from serving.index import build

KILLED, FAILED, FINISHED = 77, 78, 0
_UNREACHED = "unreached"

_CHANGING = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "open")
# These write through C++, which tells no audit hook.
_WRITERS = ("write_vectors", "write_rows", "write_documents", "write_lexical")


class Interruption:
    """Counts the calls below a folder, and ends or fails the one that is due."""

    def __init__(self, folder: Path, kind: str, due: int) -> None:
        self._folder = str(folder)
        self._kind = kind
        self._due = due
        self._calls = 0
        self.reached: str | None = None

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Look at an audit event."""
        if event in _CHANGING and (self._below(arguments) or self._relative(event, arguments)):
            self.call(f"{event} {arguments[0]}")

    def call(self, what: str) -> None:
        """Count a call, and end or fail it when it is due."""
        self._calls += 1
        if self._calls != self._due:
            return
        self.reached = what
        if self._kind == "kill":
            self.end(KILLED)
        raise OSError(errno.EIO, os.strerror(errno.EIO), what)

    def end(self, code: int) -> None:
        """End this process, after saying how far it came."""
        if self.reached is None:
            (Path(self._folder).parent / _UNREACHED).touch()
        os.write(1, (json.dumps({"due": self._due, "call": self.reached, "code": code}) + "\n").encode())
        os._exit(code)

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a call counted before it and one after."""

        def wrapped(*arguments: Any) -> Any:
            self.call(f"before {function.__name__}")
            found = function(*arguments)
            self.call(f"after {function.__name__}")
            return found

        return wrapped

    def _below(self, arguments: tuple[Any, ...]) -> bool:
        return any(
            isinstance(each, (str, os.PathLike)) and os.fspath(each).startswith(self._folder) for each in arguments
        )

    def _relative(self, event: str, arguments: tuple[Any, ...]) -> bool:
        # Removing a tree names files relative to an open folder.
        return event in ("os.remove", "os.rmdir") and arguments[-1] != -1


def attempt(home: Path, kind: str, due: int) -> None:
    """Publish, interrupted at the call that is due; ends this process."""
    settings = load_settings(home=home)
    interruption = Interruption(settings.index_root, kind, due)
    for name in _WRITERS:
        setattr(build, name, interruption.around(getattr(build, name)))
    os.fsync = interruption.around(os.fsync)
    sys.addaudithook(interruption.hook)
    try:
        build.run(settings, "run-interrupted")
    except Exception:  # noqa: BLE001  (whatever a failed call leads to, the process ends)
        interruption.end(FAILED)
    interruption.end(FINISHED)


def main(template: Path, folder: Path, kind: str, step: int) -> None:
    """Interrupt publish after publish, each `step` calls later, until one ends before its interruption."""
    for due in range(1, 1_000, step):
        home = folder / str(due)
        shutil.copytree(template, home)
        child = os.fork()
        if child == 0:
            attempt(home, kind, due)
        os.waitpid(child, 0)
        if (home / _UNREACHED).exists():
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
