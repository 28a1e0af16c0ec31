"""The root of the `ragstone` command: global options, the list of commands, errors into exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from typer.main import get_command

from orchestration.cli.invocation import Invocation
from orchestration.cli.lazy import Entry, lazy_group
from ragstone.runtime.errors import EXIT_FAILED, EXIT_USAGE, RagstoneError, exit_code

_START, _ASK, _PIPELINE, _DATA, _MEASURE = "Start here", "Questions", "Pipeline", "Data and features", "Measuring"


def _entry(name: str, file: str, text: str, panel: str, is_group: bool = False) -> Entry:
    return Entry(name, f"orchestration.cli.{file}", text, panel, is_group)


COMMANDS: Final = (
    _entry("init", "init", "Set a home up for your own documents, to a first answer.", _START),
    _entry("demo", "demo", "Run the main job on text this machine already has, in six acts.", _START),
    _entry("doctor", "doctor", "Check everything this home needs.", _START),
    _entry("serve", "serve", "Serve the published index over HTTP.", _START),
    _entry("stop", "serve", "Stop this home's own Redis server.", _START),
    _entry("ask", "ask", "Ask a question; print the answer with its citations.", _ASK),
    _entry("search", "ask", "Print the passages nearest to a question.", _ASK),
    _entry("why", "ask", "Print hits, scores, gate drops, the decision, timings.", _ASK),
    _entry("why-not", "ask", "Say where a document stopped on its way into an answer.", _ASK),
    _entry("lineage", "ask", "Trace an answer from its sentence to its source.", _ASK),
    _entry("feedback", "feedback", "Judge an answer: thumbs, the best citation, a correction.", _ASK),
    _entry("run", "steps", "Run the pipeline, or a stretch of it, in one process.", _PIPELINE),
    _entry("ingest", "steps", "Land new, changed and vanished items of every source.", _PIPELINE),
    _entry("validate", "steps", "Hold bronze documents against their rules.", _PIPELINE),
    _entry("preprocess", "steps", "Parse, normalise and chunk accepted documents.", _PIPELINE),
    _entry("embed", "steps", "Encode the chunk texts that the lake does not know yet.", _PIPELINE),
    _entry("materialize", "steps", "Apply definitions, bring features online, sweep dead keys.", _PIPELINE),
    _entry("index", "index", "Build, judge, publish, roll back, explain, compare indexes.", _PIPELINE, is_group=True),
    _entry("maintain", "maintain", "Migrate, compact and vacuum tables; prune old files.", _DATA),
    _entry("rebuild-bronze", "rebuild", "Replay the landing zone into bronze.", _DATA),
    _entry("documents", "documents", "List documents, delete, restore or purge one.", _DATA, is_group=True),
    _entry("quality", "quality", "What the rules said; metrics over time.", _DATA, is_group=True),
    _entry("quarantine", "quarantine", "Work through what was set aside.", _DATA, is_group=True),
    _entry("features", "features", "Feature definitions; the lake against the online store.", _DATA, is_group=True),
    _entry("spaces", "spaces", "Embedding spaces: list, compare two, retire one.", _DATA, is_group=True),
    _entry("events", "events", "What was asked and judged, from the service into the lake.", _DATA, is_group=True),
    _entry("training-set", "training_set", "Labels with the features known at their times.", _DATA, is_group=True),
    _entry("eval", "evaluation", "Measure retrieval on a folder in BEIR form.", _MEASURE),
    _entry("tune", "tune", "Fit what can be fitted.", _MEASURE, is_group=True),
    _entry("replay", "replay", "Ask logged questions again as they were served.", _MEASURE),
    _entry("backtest", "replay", "Ask them under other settings, each on its own day.", _MEASURE),
    _entry("bench", "bench", "Measure the figures against their rivals.", _MEASURE),
)

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    no_args_is_help=True,
    add_completion=False,
    help="Answers from your documents that can be trusted and traced. Exit codes: 0 ok, 1 failed, 2 usage, "
    "3 quality gate blocked, 4 dependency unavailable.",
)


@app.callback()
def _global_options(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="Folder of all state; RAGSTONE_HOME or ./.ragstone by default.")
    ] = None,
    env: Annotated[str | None, typer.Option(help="Which conf/<env>.yaml to lay over conf/base.yaml.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")] = False,
) -> None:
    context.obj = Invocation(home, env, as_json)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Errors of parsing come before the options are known, so `--json` is looked for by hand.
    sys.exit(run_command(given, Invocation(as_json="--json" in given)))


def run_command(arguments: Sequence[str], options: Invocation) -> int:
    """Run one command line; return its exit code. Errors are shown as `options` ask."""
    from orchestration.cli.output import show_error

    try:
        code = get_command(app).main(list(arguments), prog_name="ragstone", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except RagstoneError as error:
        show_error(options, error)
        return exit_code(error)
    except typer.TyperException as misused:
        return _misused(options, misused)
    except typer.Abort:
        typer.echo("stopped", err=True)
        return EXIT_FAILED


def _misused(options: Invocation, misused: typer.TyperException) -> int:
    from orchestration.cli.output import show_error
    from ragstone.runtime.errors import UsageError

    message = getattr(misused, "format_message", lambda: str(misused))()
    if not message:  # called without a command: the help has been printed
        return EXIT_USAGE
    usage = getattr(getattr(misused, "ctx", None), "command_path", "ragstone")
    show_error(options, UsageError(message, next_step=f"{usage} --help"))
    return EXIT_USAGE
