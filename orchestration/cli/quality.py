"""`ragstone quality`: what the rules said, run by run, and how metrics went over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table
from ragstone.runtime.errors import NotFoundError

if TYPE_CHECKING:
    from ragstone.contracts.tables import TableSpec
    from ragstone.lake.metric_history import Point
    from ragstone.runtime.settings import Settings

app = typer.Typer(help="What the rules said, run by run, and how metrics went over time.")

_OUTCOMES = """
    SELECT run_id, dataset, kind, rule, outcome, failed_rows, reason, recorded_at FROM results
    WHERE ? IN (run_id, '') QUALIFY ? != '' OR rank() OVER (PARTITION BY dataset ORDER BY run_id DESC) = 1
    ORDER BY dataset, kind, rule"""


@app.callback(invoke_without_command=True)
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

    if context.invoked_subcommand is not None:
        return
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


@app.command()
def history(
    context: typer.Context,
    metric: Annotated[str, typer.Argument(help="A metric, such as Column.token_count.Mean; --metrics names them.")],
    dataset: Annotated[str, typer.Option("--dataset", help="One dataset, where several have the metric.")] = "",
) -> None:
    """Draw a metric over its accepted runs, and say whether the newest is out of line with those before."""
    from ragstone.lake.metric_history import anomaly, points

    options = invocation(context)
    root = options.settings().lake_root
    found = points(root, dataset or None, metric, accepted=True)
    if not found:
        known = sorted({point.metric for point in points(root, dataset or None)})
        raise NotFoundError(
            "no accepted run has measured this",
            got=metric,
            wanted=", ".join(known) or "a metric, which ragstone run measures",
            next_step="ragstone quality --metrics",
        )
    series = {name: [point for point in found if point.dataset == name] for name in {point.dataset for point in found}}
    told = {
        name: anomaly(measured[-1].value, [point.value for point in measured[:-1]]) for name, measured in series.items()
    }

    def show(screen: Console) -> None:
        for name, measured in sorted(series.items()):
            screen.print(_chart(f"{metric} of {name}", measured))
            screen.print(str(told[name] or f"the newest, {measured[-1].value:.6g}, is in line"))

    emit(options, [{"dataset": name, "points": series[name], "anomaly": told[name]} for name in sorted(series)], show)


@app.command()
def page(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option("--out", help="The file; by default reports/quality.html at home.")
    ] = None,
) -> None:
    """Write one static page with every rule's last outcome, open quarantine entries and the trend of every metric."""
    from orchestration.quality_page import quality_page

    options = invocation(context)
    settings = options.settings()
    path = out or settings.reports_root / "quality.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(quality_page(settings), "utf-8")
    emit(options, {"page": path}, lambda screen: screen.print(f"written: {path}"))


@app.command()
def suggest(
    context: typer.Context,
    dataset: Annotated[str, typer.Argument(help="bronze.documents, silver.chunks or silver.embeddings.")],
) -> None:
    """Profile a table and draft rules that its rows keep: something to read and change, printed as DQDL."""
    from ragstone.lake.profiles import profile
    from ragstone.lake.rule_drafts import draft

    options = invocation(context)
    settings = options.settings()
    found = profile(settings.lake_root, dataset, _profiled_table(settings, dataset))
    if found.rows == 0:
        raise NotFoundError(
            "there are no rows to draft rules from", where=dataset, got="0 rows", next_step="ragstone run"
        )
    text = draft(found)
    emit(options, {"profile": found, "rules": text}, lambda _: typer.echo(text, nl=False))


def _profiled_table(settings: Settings, dataset: str) -> TableSpec:
    from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, embeddings
    from ragstone.embedding.load import embedding_spec
    from ragstone.lake.profiles import profiled_datasets

    if dataset not in profiled_datasets():
        raise NotFoundError("no rules are applied to this", got=dataset, wanted=", ".join(profiled_datasets()))
    known = {spec.name: spec for spec in (BRONZE_DOCUMENTS, SILVER_CHUNKS)}
    if dataset in known:
        return known[dataset]
    encoder = embedding_spec(settings)
    return embeddings(encoder.space, encoder.dim)


def _chart(title: str, measured: Sequence[Point]) -> str:
    import plotext

    figure = plotext.figure.clear()
    figure.plot_size(100, 18)
    figure.title(title)
    line = figure.signal([point.value for point in measured])
    line.lines()
    figure.draw(line)
    ends = {1: measured[0], len(measured): measured[-1]}
    figure.ruler("x").ticks(list(ends), [f"{point.recorded_at:%F %H:%M}" for point in ends.values()])
    # Rich escapes colours that are no markup of its own.
    return str(figure.build().string(colorless=True))
