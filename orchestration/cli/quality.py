"""`ragstone quality`: what the rules said, run by run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table

app = typer.Typer()

_OUTCOMES = """
    SELECT run_id, dataset, kind, rule, outcome, failed_rows, reason, recorded_at FROM results
    WHERE ? IN (run_id, '') QUALIFY ? != '' OR rank() OVER (PARTITION BY dataset ORDER BY run_id DESC) = 1
    ORDER BY dataset, kind, rule"""


@app.command()
def quality(
    context: typer.Context,
    run: Annotated[str, typer.Option("--run", help="One run; by default the newest of each dataset.")] = "",
    metrics: Annotated[bool, typer.Option("--metrics", help="Show the measured metrics too.")] = False,
    report: Annotated[str, typer.Option("--report", help="Print one report whole, by its name.")] = "",
) -> None:
    """Show the outcome of every rule at the newest run that applied it, and the reports there are."""
    from ragstone.contracts.tables import QUALITY_METRICS, QUALITY_RESULTS
    from ragstone.lake.quality_reports import list_reports, read_report
    from ragstone.lake.read import query

    options = invocation(context)
    settings = options.settings()
    if report:
        found = read_report(settings.reports_root, report)
        emit(options, found, lambda screen: screen.print_json(data=asdict(found), default=str))
        return
    reports = list_reports(settings.reports_root, run or None)
    outcomes = query(settings.lake_root, _OUTCOMES, (run, run), results=QUALITY_RESULTS).to_pylist()
    runs = sorted({row["run_id"] for row in outcomes})
    measured = [
        row
        for row in query(
            settings.lake_root, "SELECT * FROM metrics ORDER BY dataset, metric", metrics=QUALITY_METRICS
        ).to_pylist()
        if metrics and row["run_id"] in runs
    ]

    def show(screen: Console) -> None:
        columns = ("dataset", "kind", "rule", "outcome", "failed rows", "reason", "run")
        cells = [
            (row["dataset"], row["kind"], row["rule"], row["outcome"], row["failed_rows"], row["reason"], row["run_id"])
            for row in outcomes
        ]
        screen.print(table(None, columns, cells) if cells else "no rule has been applied yet; ragstone run")
        if measured:
            values = [(row["dataset"], row["metric"], row["value"], row["run_id"]) for row in measured]
            screen.print(table("Metrics", ("dataset", "metric", "value", "run"), values))
        audits = [(audit.name, audit.verdict, audit.rows, audit.rejected, audit.seconds) for audit in reports]
        if audits:
            title, names = f"Reports in {settings.reports_root}", ("report", "verdict", "rows", "rejected", "seconds")
            screen.print(table(title, names, audits))

    emit(options, {"outcomes": outcomes, "metrics": measured, "reports": [audit.name for audit in reports]}, show)
