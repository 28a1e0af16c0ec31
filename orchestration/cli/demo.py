"""`ragstone demo`: the main job in six acts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console

from orchestration.cli.invocation import Invocation, invocation
from orchestration.cli.output import console, emit, table

if TYPE_CHECKING:
    from orchestration.demo.stage import Act

app = typer.Typer()

_HOME: Final = Path(".ragstone-demo")


@app.command()
def demo(
    context: typer.Context,
    seed: Annotated[int, typer.Option(help="Chooses the documents that are edited and deleted.")] = 1,
    characters: Annotated[
        int | None, typer.Option(help="At most about this much text; 1,000 chunks' worth by default.", min=100_000)
    ] = None,
) -> None:
    """Run the main job on text this machine already has, in six acts; a failed assertion ends it with exit code 1."""
    from orchestration.demo.play import MOST_CHARACTERS, next_commands, play

    given = invocation(context)
    options = Invocation(given.home or _HOME, given.env, given.as_json)
    settings = options.settings()
    screen = console()
    acts: list[Act] = []

    def show(act: Act) -> None:
        acts.append(act)
        if not options.as_json:
            _show(screen, act)

    began = time.perf_counter()
    play(settings, seed, show, characters or MOST_CHARACTERS)
    seconds = time.perf_counter() - began
    commands = next_commands(options.home or _HOME)
    document = {"seed": seed, "seconds": seconds, "acts": acts, "next": commands}

    def show_end(screen: Console) -> None:
        screen.print(table("Try next", ("command", "for"), commands))
        screen.print(f"All six acts held what they say, with seed {seed}, in {seconds:.0f} s.", style="bold")

    emit(options, document, show_end)


def _show(screen: Console, act: Act) -> None:
    screen.rule(f"Act {act.number}: {act.title} ({act.seconds:.1f} s)", align="left")
    for panel in act.panels:
        screen.print(table(panel.title, panel.columns, panel.rows))
    for sentence in act.asserted:
        screen.print(f"asserted: {sentence}", style="green")
    screen.print()
