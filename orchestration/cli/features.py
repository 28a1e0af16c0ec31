"""`ragstone features`: definitions, lake against online store, and the variables that plain `feast` needs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.feature_plan import show_plan
from orchestration.cli.invocation import invocation
from orchestration.cli.output import console, emit, table

if TYPE_CHECKING:
    from orchestration.feature_audit import Audited

app = typer.Typer(no_args_is_help=True, help="Feature definitions, and the lake against the online store.")


@app.command()
def apply(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask. Off a terminal nothing is asked anyway.")] = False,
) -> None:
    """Make the registry hold exactly what the repository declares: show the plan, ask, apply.

    A change that would break a registered service is refused, unless a newer version of the service is declared.
    """
    from ragstone.features.apply import apply as apply_definitions
    from ragstone.features.apply import diff as definitions_diff
    from ragstone.features.plan import is_refused

    options = invocation(context)
    settings = options.settings()
    planned = definitions_diff(settings)
    if not options.as_json:
        show_plan(console(), planned, "nothing changed")
        if sys.stdin.isatty() and not yes and planned and not any(map(is_refused, planned)):
            typer.confirm("Apply this?", abort=True)
    changed = apply_definitions(settings) if planned else []
    if options.as_json:
        emit(options, changed, lambda _: None)


@app.command()
def diff(context: typer.Context) -> None:
    """Show the plan: what `apply` would change, field by field. Unlike `feast plan`, nothing when nothing would."""
    from ragstone.features.apply import diff as definitions_diff

    options = invocation(context)
    planned = definitions_diff(options.settings())
    emit(options, planned, lambda screen: show_plan(screen, planned, "nothing would change"))


@app.command()
def audit(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Compare the values of every row, not of a sample.")] = False,
) -> None:
    """Compare lake, online store and index: all keys and times, sampled values; exit code 1 when they differ."""
    from orchestration.feature_audit import audit_everything
    from ragstone.runtime.errors import EXIT_FAILED

    options = invocation(context)
    found = audit_everything(options.settings(), every)
    emit(options, found, lambda screen: _show_audits(screen, found))
    if not all(result.agrees for result in found):
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


def _show_audits(screen: Console, found: Sequence[Audited]) -> None:
    rows = [
        (
            result.view,
            result.lake_rows,
            result.online_rows,
            result.missing,
            result.stale,
            result.dead,
            result.checked,
            result.differing,
            "" if result.newest_event is None else result.newest_event.isoformat(),
            "yes" if result.agrees else "no",
        )
        for result in found
    ]
    columns = ("view", "lake rows", "online rows", "missing", "stale", "dead", "checked", "differing", "newest event")
    screen.print(table(None, (*columns, "agrees"), rows))
