"""`ragstone spaces`: two models side by side, from the first vector of the new one to the last of the old."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table

app = typer.Typer(no_args_is_help=True, help="List, compare and retire embedding spaces.")

SpaceName = Annotated[str, typer.Argument(help="Name of an embedding space.")]


@app.command("ls")
def list_spaces(context: typer.Context) -> None:
    """List every embedding space: its model, how far it is filled, what is answered from."""
    from orchestration.spaces import known_spaces, served_space
    from ragstone.lake.spaces import coverage

    options = invocation(context)
    settings = options.settings()
    found = [coverage(settings.lake_root, space) for space in known_spaces(settings)]
    told = {"set": settings.embedding.space, "served": served_space(settings), "spaces": found}
    rows = [
        (
            space.space,
            space.model_id,
            space.dim,
            space.chunks,
            space.missing,
            "yes" if space.space == told["set"] else "",
            "yes" if space.space == told["served"] else "",
        )
        for space in found
    ]
    columns = ("space", "model", "dim", "chunks", "missing", "set", "served")
    emit(options, told, lambda screen: screen.print(table(None, columns, rows)))


@app.command()
def compare(
    context: typer.Context,
    first: SpaceName,
    second: SpaceName,
    sample: Annotated[int, typer.Option(min=1, help="How many chunks to ask both spaces about.")] = 200,
    k: Annotated[int, typer.Option("-k", min=1, help="How many nearest chunks to compare.")] = 10,
) -> None:
    """Say how alike two spaces rank, with sampled chunks in the place of questions."""
    from orchestration.spaces import check_known
    from ragstone.lake.spaces import parity

    options = invocation(context)
    settings = options.settings()
    for space in (first, second):
        check_known(settings, space)
    found = parity(settings.lake_root, first, second, sample, k)

    def show(screen: Console) -> None:
        rows = [
            (f"chunks in {first}", found.in_first),
            (f"chunks in {second}", found.in_second),
            ("chunks in both", found.in_both),
            ("chunks asked about", found.sampled),
            (f"nearest {found.k} in common", found.overlap),
            ("same nearest", found.same_first),
        ]
        screen.print(table(None, ("what", "value"), rows))

    emit(options, found, show)


@app.command()
def retire(context: typer.Context, space: SpaceName) -> None:
    """Take a space away that nothing is answered from: table, feature view, online values."""
    from orchestration.runner import started_run_id
    from orchestration.spaces import retire as retire_space

    options = invocation(context)
    done = retire_space(options.settings(), space, started_run_id())
    emit(options, done, lambda screen: screen.print(f"retired: {space}, {done.accepted:,} vectors"))
