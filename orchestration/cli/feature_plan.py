"""How the plan of `ragstone features apply` is shown: one line per object, its changed fields and breaks below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.console import Console

if TYPE_CHECKING:
    from ragstone.features.plan import Difference, FieldChange

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}


def show_plan(screen: Console, planned: Sequence[Difference], none: str) -> None:
    """Print a plan; `none` is what is said of an empty one."""
    for difference in planned:
        for line in _lines(difference):
            screen.print(line, soft_wrap=True)
    if not planned:
        screen.print(none)


def _lines(difference: Difference) -> Iterator[str]:
    yield f"{_SIGNS[difference.change]} {difference.kind} {difference.name} is {difference.change}"
    yield from (f"    {_told(changed)}" for changed in difference.fields)
    yield from (f"    breaks its readers: {broken}" for broken in difference.breaks)
    if difference.breaks:
        newer = difference.successor
        yield f"    {f'its readers go on with {newer}' if newer else 'refused: no newer version of it is declared'}"


def _told(changed: FieldChange) -> str:
    if changed.was is None:
        return f"{changed.field}: {changed.becomes} (new)"
    if changed.becomes is None:
        return f"{changed.field}: {changed.was} (gone)"
    return f"{changed.field}: {changed.was} -> {changed.becomes}"
