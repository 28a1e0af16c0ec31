"""How commands speak: one JSON document on standard output with `--json`, tables and lines for people otherwise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from orchestration.cli.invocation import Invocation
from ragstone.runtime.errors import RagstoneError

_WIDTH_OFF_TERMINAL = 140

Show = Callable[[Console], None]


def emit(invocation: Invocation, document: Any, show: Show) -> None:
    """Write `document` as JSON, or let `show` draw it on a console."""
    if invocation.as_json:
        typer.echo(json.dumps(document, default=_plain, ensure_ascii=False, indent=2))
    else:
        show(console())


def console() -> Console:
    """Return the console for people. Off a terminal it is wide, so that tables in logs keep their columns."""
    # What is printed comes from documents: brackets and colons in it are no markup.
    plain = Console(markup=False, emoji=False, highlight=False)
    if not plain.is_terminal:
        plain.width = _WIDTH_OFF_TERMINAL
    return plain


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> RenderableType:
    """Return a table below its title; columns whose values are all numbers are aligned right."""
    cells = [tuple(row) for row in rows]
    drawn = Table()
    for position, name in enumerate(columns):
        values = [row[position] for row in cells if row[position] is not None]
        numeric = bool(values) and all(isinstance(value, (int, float)) for value in values)
        drawn.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        drawn.add_row(*(_cell(value) for value in row))
    # A title of the table's own would be folded to the table's width.
    return drawn if title is None else Group(Text(title, style="bold"), drawn)


def show_error(invocation: Invocation, error: RagstoneError) -> None:
    """Write an error with all its facts: to standard error for people, as a JSON document for programs."""
    if invocation.as_json:
        described = {"kind": type(error).__name__, "what": error.what, **error.facts()}
        typer.echo(json.dumps({"error": described}, default=_plain, ensure_ascii=False, indent=2))
    else:
        typer.echo(f"error: {error}", err=True)


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _plain(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    return getattr(value, "item", lambda: str(value))()
