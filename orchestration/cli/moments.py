"""Times on the command line: a day or a moment of the past, always with its time zone."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import typer

MOMENT: Final = "TIME"


def moment(text: str) -> datetime:
    """Return a moment written as ISO 8601, such as 2026-01-31T08:00:00Z. Raises typer.BadParameter without a zone.

    A time without a zone means another moment on another machine, so none is guessed.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError as unreadable:
        raise typer.BadParameter(f"{text!r} is no time; wanted one such as 2026-01-31T08:00:00Z") from unreadable
    if at.tzinfo is None:
        raise typer.BadParameter(f"{text!r} has no time zone; wanted one such as 2026-01-31T08:00:00Z")
    return at
