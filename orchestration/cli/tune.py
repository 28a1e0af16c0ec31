"""`ragstone tune`: what is fitted on judged folders."""

from __future__ import annotations

from typing import Annotated

import typer
import yaml
from rich.console import Console

from orchestration.cli.evaluation import JudgedFolder, run_pipeline
from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit

app = typer.Typer(no_args_is_help=True, help="Fit what can be fitted.")


@app.callback()
def _group() -> None:
    """Fit what can be fitted."""


@app.command("abstain")
def tune_abstain(
    context: typer.Context,
    folder: JudgedFolder,
    most_wrong: Annotated[
        float | None, typer.Option(help="Largest share of questions that may be answered without their work.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write the model into this home's conf.yaml.")] = False,
) -> None:
    """Fit the model that decides whether there is an answer, on a folder whose queries have answers."""
    from orchestration.init_home import CONF_NAME, write_conf
    from ragstone.runtime.setting_layers import from_yaml
    from serving.evaluation.fit_abstain import MOST_WRONG_ANSWERS, fit_abstain

    options = invocation(context)
    settings = options.settings()
    share = MOST_WRONG_ANSWERS if most_wrong is None else most_wrong
    fitted = fit_abstain(settings, folder, run_pipeline, most_wrong_answers=share).model_dump(mode="json")
    if save:
        write_conf(settings.home, {**from_yaml(settings.home / CONF_NAME), "abstain": fitted})

    def show(_: Console) -> None:
        typer.echo(yaml.safe_dump({"abstain": fitted}, sort_keys=False), nl=False)

    emit(options, fitted, show)
