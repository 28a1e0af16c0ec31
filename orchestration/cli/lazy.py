"""A command group that knows its commands by name and imports the one that is called."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


@dataclass(frozen=True)
class Entry:
    """One top-level command: `module` has a Typer `app` that either is the group `name` or holds the command `name`."""

    name: str
    module: str
    help: str
    panel: str
    is_group: bool = False


class LazyGroup(TyperGroup):
    """Lists commands from their entries; the module of a command is imported when the command is resolved."""

    entries: tuple[Entry, ...] = ()

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update(_listing(self.entries))

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> tuple[str | None, Any, list[str]]:  # type: ignore[override]
        """Return the name, the real command and the rest of the arguments."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, _load(next(entry for entry in self.entries if entry.name == name)), rest


def lazy_group(entries: Sequence[Entry]) -> type[LazyGroup]:
    """Return a group class of these entries."""
    return type("Commands", (LazyGroup,), {"entries": tuple(entries)})


def _listing(entries: Iterable[Entry]) -> dict[str, Any]:
    return {entry.name: TyperCommand(entry.name, help=entry.help, rich_help_panel=entry.panel) for entry in entries}


def _load(entry: Entry) -> Any:
    group = get_group(importlib.import_module(entry.module).app)
    return group if entry.is_group else group.commands[entry.name]
