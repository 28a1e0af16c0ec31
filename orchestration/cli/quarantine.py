"""`ragstone quarantine`: what was set aside and why, as a list to work through."""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table
from ragstone.runtime.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from ragstone.runtime.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Work through what was set aside.")

EntryId = Annotated[str, typer.Argument(help="An entry_id that `ragstone quarantine ls` names, or how it begins.")]
By = Annotated[str, typer.Option("--by", help="Who asks for it; by default who runs the command.")]

_COLUMNS: Final = ("entry_id", "step", "item", "reason", "failed rules", "recorded", "state")


@app.command("ls")
def list_entries(
    context: typer.Context,
    step: Annotated[str | None, typer.Option(help="Only what this step rejected.")] = None,
    closed: Annotated[bool, typer.Option("--all", help="Show closed entries too.")] = False,
) -> None:
    """List what is set aside, oldest first, and count the reasons."""
    from ragstone.lake.quarantine import count_reasons, entries, open_entries

    options = invocation(context)
    root = options.settings().lake_root
    found = [
        row
        for row in (entries(root) if closed else open_entries(root)).to_pylist()
        if step is None or row["step"] == step
    ]
    reasons = count_reasons(found)

    def show(screen: Console) -> None:
        if not found:
            screen.print("nothing is set aside")
            return
        screen.print(table(None, _COLUMNS, [_cells(row) for row in found]))
        counts = [(count["step"], count["reason"], count["entries"]) for count in reasons]
        screen.print(table("Reasons", ("step", "reason", "entries"), counts))

    emit(options, {"entries": found, "reasons": reasons}, show)


@app.command()
def show(context: typer.Context, entry_id: EntryId) -> None:
    """Show all that is known of one entry."""
    options = invocation(context)
    entry = _entry(options.settings(), entry_id)
    emit(options, entry, lambda screen: screen.print(table(None, ("what", "value"), _pairs(entry))))


@app.command()
def retry(context: typer.Context, entry_id: EntryId, by: By = "") -> None:
    """Have an entry's step look at the same content again at the next run."""
    from orchestration.runner import started_run_id
    from ragstone.lake import quarantine

    options = invocation(context)
    settings = options.settings()
    entry = _entry(settings, entry_id)
    _refuse_passing(settings, entry)
    marked = quarantine.retry(settings.lake_root, entry["entry_id"], started_run_id(), by or _user())
    said = f"ragstone run has {entry['step']} look at it again" if marked else "it is closed; there is nothing to retry"
    emit(options, {"entry_id": entry["entry_id"], "retried": marked}, lambda screen: screen.print(said))


@app.command()
def dismiss(
    context: typer.Context,
    entry_id: EntryId,
    why: Annotated[str, typer.Option("--why", help="Why nothing is to be done about it.")],
    by: By = "",
) -> None:
    """Close an entry for good: the same content stays out and is not entered again."""
    from orchestration.runner import started_run_id
    from ragstone.lake import quarantine

    options = invocation(context)
    settings = options.settings()
    entry = _entry(settings, entry_id)
    closed = quarantine.dismiss(settings.lake_root, entry["entry_id"], started_run_id(), by or _user(), why)
    said = "dismissed; the same content is not entered again" if closed else "it was closed already"
    emit(options, {"entry_id": entry["entry_id"], "dismissed": closed}, lambda screen: screen.print(said))


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    state = row["resolution"] or ("open" if row["resolved_at"] is None else "closed")
    rules = "; ".join(row["failed_rules"])
    return row["entry_id"], row["step"], row["item_key"], row["reason"], rules, f"{row['recorded_at']:%F %H:%M}", state


def _refuse_passing(settings: Settings, entry: dict[str, Any]) -> None:
    """Raise UsageError where the step will not meet the item again: it only passed by."""
    source = settings.sources.get(entry["dataset"]) if entry["step"] == "ingest" else None
    if source is not None and (source.kind in {"kafka", "push"} or getattr(source, "incremental", None)):
        raise UsageError(
            "what this source gave once cannot be read again",
            where=f"source {entry['dataset']}, kind {source.kind}",
            got=entry["item_key"],
            wanted="an item that a source lists at every run",
            next_step="have the source give it again, or ragstone quarantine dismiss",
        )


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _entry(settings: Settings, entry_id: str) -> dict[str, Any]:
    from ragstone.lake.quarantine import entries

    found = [row for row in entries(settings.lake_root).to_pylist() if row["entry_id"].startswith(entry_id)]
    if len(found) == 1:
        return dict(found[0])
    if found:
        raise UsageError(
            "more than one entry begins like this",
            got=entry_id,
            wanted=", ".join(row["entry_id"] for row in found),
        )
    raise NotFoundError(
        "there is no such entry in quarantine",
        where=str(settings.lake_root),
        got=entry_id,
        next_step="ragstone quarantine ls --all",
    )


def _pairs(entry: dict[str, Any]) -> list[tuple[object, ...]]:
    return [(name, "; ".join(value) if isinstance(value, list) else str(value or "")) for name, value in entry.items()]
