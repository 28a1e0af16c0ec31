"""Ingest in a process that kills itself at a point: `python -m tests.spark_jobs.killed_stream HOME POINT`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragstone.lake import quarantine
from ragstone.lake.landing import LandingZone
from spark_jobs import bronze, ingest_documents

POINTS = ("before landing", "after landing", "after quarantine", "before bronze", "after bronze")


def die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dying_after(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*arguments: Any, **options: Any) -> Any:
        function(*arguments, **options)
        die()

    return called


def arm(point: str) -> None:
    if point == "before landing":
        LandingZone.append_untouched = die
    elif point == "after landing":
        LandingZone.append_untouched = dying_after(LandingZone.append_untouched)
    elif point == "after quarantine":
        quarantine.set_aside = dying_after(quarantine.set_aside)
    elif point == "before bronze":
        bronze.follow_landing = die
    elif point == "after bronze":
        bronze.follow_landing = dying_after(bronze.follow_landing)
    else:
        raise ValueError(point)


if __name__ == "__main__":
    arm(sys.argv[2])
    sys.exit(ingest_documents.main(["--home", str(Path(sys.argv[1]))]))
