"""`ragstone quarantine`: what was set aside, why, and giving it another chance."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table
from ragstone.runtime.errors import NotFoundError

app = typer.Typer(no_args_is_help=True, help="See what was set aside and why; give it another chance.")

EntryId = Annotated[str, typer.Argument(help="An entry_id that `ragstone quarantine list` names.")]


@app.command("list")
def list_entries(
    context: typer.Context,
    step: Annotated[str | None, typer.Option(help="Only what this step rejected.")] = None,
    resolved: Annotated[bool, typer.Option("--all", help="Show resolved entries too.")] = False,
) -> None:
    """List what is set aside, oldest first."""
    from ragstone.lake.quarantine import entries, open_entries

    options = invocation(context)
    root = options.settings().lake_root
    found = [
        row
        for row in (entries(root) if resolved else open_entries(root)).to_pylist()
        if step is None or row["step"] == step
    ]
    columns = ("entry_id", "step", "item", "reason", "failed rules", "recorded")
    rows = [
        (
            row["entry_id"],
            row["step"],
            row["item_key"],
            row["reason"],
            "; ".join(row["failed_rules"]),
            f"{row['recorded_at']:%Y-%m-%d %H:%M}",
        )
        for row in found
    ]
    emit(options, found, lambda screen: screen.print(table(None, columns, rows) if rows else "nothing is set aside"))


@app.command()
def show(context: typer.Context, entry_id: EntryId) -> None:
    """Show all that is known of one entry."""
    options = invocation(context)
    entry = _entry(options.settings(), entry_id)
    emit(options, entry, lambda screen: screen.print(table(None, ("what", "value"), _pairs(entry))))


@app.command()
def resolve(context: typer.Context, entry_id: EntryId) -> None:
    """Close an entry, so that the next run takes what it set aside up again."""
    from orchestration.runner import started_run_id
    from ragstone.lake.quarantine import resolve as close

    options = invocation(context)
    settings = options.settings()
    entry = _entry(settings, entry_id)
    closed = close(settings.lake_root, [entry["entry_id"]], started_run_id())
    said = "closed; ragstone run takes it up again" if closed else "it was closed already"
    emit(options, {"entry_id": entry_id, "closed": bool(closed)}, lambda screen: screen.print(said))


def _entry(settings: Any, entry_id: str) -> dict[str, Any]:
    from ragstone.lake.quarantine import entries

    for row in entries(settings.lake_root).to_pylist():
        if row["entry_id"] == entry_id:
            return dict(row)
    raise NotFoundError(
        "there is no such entry in quarantine",
        where=str(settings.lake_root),
        got=entry_id,
        next_step="ragstone quarantine list --all",
    )


def _pairs(entry: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(name, "; ".join(value) if isinstance(value, list) else str(value or "")) for name, value in entry.items()]
