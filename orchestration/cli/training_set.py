"""`ragstone training-set`: labels with the features that were known at their times; what stands behind a row."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.moments import MOMENT, moment
from orchestration.cli.output import emit, table
from orchestration.cli.training_recipe import Recipe, write_recipe
from ragstone.contracts.names import TRAINING_SERVICE
from ragstone.runtime.errors import EXIT_FAILED, UsageError

if TYPE_CHECKING:
    from ragstone.features.training import TrainingSet
    from ragstone.features.training_diff import TrainingSetDiff
    from ragstone.features.training_explain import RowOrigin, ViewOrigin

_Rows = Annotated[Path, typer.Argument(help="Parquet of a training set, its manifest beside it.")]
# A vector or a text takes no more of a line than this.
_SHOWN = 60

app = typer.Typer(invoke_without_command=True)


@app.callback()
def training_set(
    context: typer.Context,
    labels: Annotated[Path | None, typer.Option(help="Parquet with entity keys and an event_timestamp in UTC.")] = None,
    out: Annotated[Path | None, typer.Option(help="Parquet to write; its manifest is written beside it.")] = None,
    service: Annotated[str, typer.Option(help="The feature service to join.")] = TRAINING_SERVICE,
    as_of: Annotated[
        datetime | None,
        typer.Option("--as-of", parser=moment, metavar=MOMENT, help="Leave out what became known later."),
    ] = None,
    from_manifest: Annotated[
        Path | None, typer.Option("--from-manifest", help="Pull the rows of an earlier set again.")
    ] = None,
    save_as: Annotated[str | None, typer.Option("--save-as", help="Name it in Feast's registry, too.")] = None,
    recipe: Annotated[
        Recipe | None, typer.Option(help="Make it of what was asked and judged, instead of labels: docs/feedback.md.")
    ] = None,
) -> None:
    """Join labels with the features known at each label's time: no row sees anything later."""
    if context.invoked_subcommand is not None:
        return
    options = invocation(context)
    if recipe is not None:
        unfit = {"--labels": labels, "--from-manifest": from_manifest, "--save-as": save_as}
        write_recipe(options, recipe, out, as_of, unfit)
        return
    if out is None or (labels is None and from_manifest is None):
        raise UsageError(
            "what to pull, or where to, is not said",
            wanted="--labels FILE --out FILE, or --from-manifest FILE --out FILE",
            next_step="ragstone training-set --help",
        )
    pulled = _pulled(options.settings(), labels, service, as_of, from_manifest)
    manifest = pulled.write(out)
    if save_as is not None:
        from ragstone.features.saved_dataset import save_dataset

        save_dataset(options.settings(), save_as, out)
    document = {"out": out, "manifest": manifest, **pulled.manifest.model_dump(mode="json")}
    emit(options, document, lambda screen: screen.print(f"{pulled.table.num_rows:,} rows in {out}", soft_wrap=True))


@app.command()
def explain(
    context: typer.Context,
    row: Annotated[int, typer.Argument(help="Which row; the first is 0.")],
    rows: Annotated[Path, typer.Option("--set", help="Parquet of a training set, its manifest beside it.")],
) -> None:
    """Show where each value of a row comes from: table row, times, run, source document."""
    from ragstone.features.training_explain import explain as explain_row

    options = invocation(context)
    origin = explain_row(options.settings(), rows, row)
    emit(options, origin, lambda screen: _show_origin(screen, origin))


@app.command()
def diff(context: typer.Context, before: _Rows, after: _Rows) -> None:
    """Compare two training sets: labels, features, values, manifests; exit code 1 when they differ."""
    from ragstone.features.training_diff import diff as compare

    options = invocation(context)
    found = compare(before, after)
    emit(options, found, lambda screen: _show_diff(screen, found))
    if not found.equal:
        raise typer.Exit(EXIT_FAILED)


def _pulled(
    settings: Any, labels: Path | None, service: str, as_of: datetime | None, manifest: Path | None
) -> TrainingSet:
    from ragstone.contracts.state import AsOf
    from ragstone.features import training

    if manifest is not None:
        return training.training_set_again(settings, manifest, labels)
    assert labels is not None
    return training.training_set(settings, labels, service, AsOf(known_by=as_of))


def _show_origin(screen: Console, origin: RowOrigin) -> None:
    screen.print(f"row {origin.row}: " + ", ".join(f"{name} {_short(value)}" for name, value in origin.label.items()))
    if origin.document is not None:
        found = origin.document
        screen.print(f"document {found.document_id}: {found.source_uri or 'not known then'} of source {found.source}")
    for view in origin.views:
        rows = [
            (value.feature, _short(value.value), value.column, "yes" if value.same_in_lake else "no")
            for value in view.values
        ]
        screen.print(table(_heading(view), ("feature", "value", "column", "same in the lake"), rows))


def _heading(view: ViewOrigin) -> str:
    if view.event_timestamp is None or view.created_timestamp is None:
        return f"{view.view}: nothing was known of {view.key}"
    return (
        f"{view.view}: {view.table} of {view.key}, known {view.event_timestamp.isoformat()}, "
        f"written {view.created_timestamp.isoformat()} by {view.step or 'a step'} of run {view.run_id}"
    )


def _show_diff(screen: Console, found: TrainingSetDiff) -> None:
    screen.print(
        f"labels: {found.labels_kept:,} in both, {found.labels_added:,} added, {found.labels_removed:,} removed"
    )
    for name, features in (("added", found.features_added), ("removed", found.features_removed)):
        if features:
            screen.print(f"features {name}: {', '.join(features)}")
    if found.changes:
        rows = [(c.feature, c.rows, c.row, _short(c.before), _short(c.after)) for c in found.changes]
        screen.print(table(None, ("feature", "rows that differ", "first row", "before", "after"), rows))
    for name, (before, after) in found.manifest.items():
        screen.print(f"manifest, {name}: {_short(before)} -> {_short(after)}", soft_wrap=True)
    if found.equal:
        screen.print("equal rows")


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
