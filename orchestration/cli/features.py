"""`ragstone features`: definitions, lake against online store, and the variables that plain `feast` needs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from orchestration.cli.invocation import Invocation, invocation
from orchestration.cli.output import emit, table

if TYPE_CHECKING:
    from ragstone.features.apply import Difference
    from ragstone.features.audit import ViewAudit

app = typer.Typer(no_args_is_help=True, help="Feature definitions, and the lake against the online store.")


@app.command()
def apply(context: typer.Context) -> None:
    """Make the registry hold exactly what the repository declares; say what changed."""
    from ragstone.features.apply import apply as apply_definitions

    options = invocation(context)
    _emit_differences(options, apply_definitions(options.settings()), "nothing changed")


@app.command()
def diff(context: typer.Context) -> None:
    """Say what `apply` would change. Unlike `feast plan`, nothing when nothing would."""
    from ragstone.features.apply import diff as definitions_diff

    options = invocation(context)
    _emit_differences(options, definitions_diff(options.settings()), "nothing would change")


@app.command()
def audit(context: typer.Context) -> None:
    """Compare the lake with the online store, view by view; exit code 1 when they differ."""
    from ragstone.features.audit import audit as audit_views
    from ragstone.runtime.errors import EXIT_FAILED

    options = invocation(context)
    audits = audit_views(options.settings())
    emit(options, audits, lambda screen: _show_audits(screen, audits))
    if not all(result.agrees for result in audits):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def sweep(context: typer.Context) -> None:
    """Remove from the online store what the lake says is dead."""
    from ragstone.features.audit import sweep as sweep_views

    options = invocation(context)
    removed = sweep_views(options.settings())
    emit(options, removed, lambda screen: screen.print(table(None, ("view", "removed"), list(removed.items()))))


@app.command()
def rematerialize(context: typer.Context) -> None:
    """Fill the online store again with every row, whatever it holds."""
    from orchestration.cli.steps import outcome_table
    from orchestration.pipeline import REMATERIALIZE
    from orchestration.runner import run_step, started_run_id

    options = invocation(context)
    outcome = run_step(options.settings(), started_run_id(), REMATERIALIZE)
    emit(options, outcome, lambda screen: screen.print(outcome_table([outcome])))


@app.command()
def env(context: typer.Context) -> None:
    """Print the variables that plain `feast` needs: eval "$(ragstone features env)", then cd feature_repo."""
    from ragstone.features.repository import feast_environment

    options = invocation(context)
    variables = feast_environment(options.settings())

    def show(_: Console) -> None:
        for name, value in variables.items():
            typer.echo(f"export {name}={shlex.quote(value)}")

    emit(options, variables, show)


def _emit_differences(options: Invocation, differences: Sequence[Difference], none: str) -> None:
    rows = [(change.kind, change.name, change.change) for change in differences]
    columns = ("kind", "name", "change")
    emit(options, differences, lambda screen: screen.print(table(None, columns, rows) if rows else none))


def _show_audits(screen: Console, audits: Sequence[ViewAudit]) -> None:
    rows = [
        (
            result.view,
            result.lake_rows,
            result.online_rows,
            len(result.missing),
            len(result.stale),
            len(result.dead),
            "yes" if result.agrees else "no",
        )
        for result in audits
    ]
    columns = ("view", "lake rows", "online rows", "missing", "stale", "dead", "agrees")
    screen.print(table(None, columns, rows))
