"""What the acts share: the demo's home, its documents, what an act shows, and how an assertion fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ragstone.runtime.errors import RagstoneError
from ragstone.runtime.settings import Settings

SOURCE: Final = "python"


class DemoError(RagstoneError):
    """The system did not do what this act says it does."""


@dataclass(frozen=True)
class Stage:
    """Where the demo plays. `corpus` is the folder of exported files; `admin_key` an API key of the group `admin`."""

    settings: Settings
    corpus: Path
    admin_key: str
    seed: int


@dataclass(frozen=True)
class Panel:
    """One table of an act."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]


@dataclass(frozen=True)
class Act:
    """What an act shows: its tables, and below them what was asserted, in sentences."""

    number: int
    title: str
    panels: tuple[Panel, ...]
    asserted: tuple[str, ...]
    seconds: float = field(default=0.0)


def check(holds: bool, what: str, *, got: object, wanted: object, where: str | None = None) -> None:
    """Raise DemoError unless `holds`; `what` says what is wrong when it does not."""
    if not holds:
        raise DemoError(what, where=where, got=got, wanted=wanted)


def shortened(text: str, width: int = 90) -> str:
    """Return a text on one line, cut to `width` characters."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
