"""`ragstone doctor`: what is missing, with the command that mends it."""

from __future__ import annotations

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table
from ragstone.runtime.errors import EXIT_DEPENDENCY

app = typer.Typer()


@app.command()
def doctor(context: typer.Context) -> None:
    """Check everything this home needs; exit code 4 when something is missing."""
    from orchestration.doctor import MISSING, examine

    options = invocation(context)
    findings = examine(options.settings())

    def show(screen: Console) -> None:
        rows = [(finding.check, finding.status, finding.found, finding.mend) for finding in findings]
        screen.print(table(None, ("check", "status", "found", "mend it with"), rows))

    emit(options, findings, show)
    if any(finding.status == MISSING for finding in findings):
        raise typer.Exit(EXIT_DEPENDENCY)
