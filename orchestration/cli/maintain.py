"""`ragstone maintain`: migrate, compact, cluster and vacuum tables; prune snapshots, reports and logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table

if TYPE_CHECKING:
    from orchestration.maintain import Maintained
    from ragstone.contracts.records import StepResult
    from ragstone.runtime.settings import Settings

app = typer.Typer()

Tables = Annotated[
    list[str] | None, typer.Option("--table", help="Only this table, such as silver.chunks; may be repeated.")
]
RetainHours = Annotated[int, typer.Option(min=1, help="Keep files that the newest version does not need for so long.")]
KeepDays = Annotated[int, typer.Option(min=1, help="Keep reports and logs of runs for so long.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")]


@app.command()
def maintain(
    context: typer.Context,
    tables: Tables = None,
    retain_hours: RetainHours = 168,
    keep_days: KeepDays = 90,
    dry_run: DryRun = False,
) -> None:
    """Keep a home small and quick: tables, index snapshots, old reports and logs. Answers stay as they are."""
    from orchestration import maintain as upkeep
    from orchestration.runner import started_run_id
    from ragstone.lake.ops import recorded_run

    options = invocation(context)
    settings = options.settings()
    wanted = upkeep.Upkeep(tuple(tables) if tables else None, retain_hours, keep_days, dry_run)
    done: list[Maintained] = []

    def step(given: Settings, _run_id: str) -> StepResult:
        done.append(upkeep.maintain(given, wanted))
        return upkeep.as_result(done[0])

    if dry_run:
        done.append(upkeep.maintain(settings, wanted))
    else:
        recorded_run(upkeep.STEP, step, settings, started_run_id())
    emit(options, done[0], lambda screen: _show(screen, done[0]))


def _show(screen: Console, maintained: Maintained) -> None:
    title = "what would be done" if maintained.dry_run else "what was done"
    columns = ("table", "files", "after", "bytes", "after", "on disk", "after", "rewritten", "removed", "columns added")
    rows = [
        (
            each.table,
            each.before.files,
            each.after.files,
            each.before.bytes,
            each.after.bytes,
            each.before.disk_bytes,
            each.after.disk_bytes,
            each.rewritten_files,
            each.removed_files,
            ", ".join(each.migrated),
        )
        for each in maintained.tables
    ]
    screen.print(table(title, columns, rows))
    screen.print(f"index snapshots pruned: {', '.join(maintained.snapshots) or 'none'}", soft_wrap=True)
    screen.print(f"old reports and logs removed: {len(maintained.files)}")
