"""`ragstone serve` and `ragstone stop`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit

app = typer.Typer()


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on; serving.host by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; serving.port by default.")] = None,
) -> None:
    """Serve the published index over HTTP until interrupted; it follows to newer indexes on its own."""
    import uvicorn

    from serving.app import create_app

    given: dict[str, Any] = {"host": host, "port": port}
    options = invocation(context)
    settings = options.settings(serving={name: value for name, value in given.items() if value is not None})
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), settings.serving.host, settings.serving.port, log_config=None)
    )
    server.run()
    # uvicorn tells of a failed start by never having started.
    if not server.started:
        raise typer.Exit(_exit_code_of_failed_start())


@app.command()
def stop(context: typer.Context) -> None:
    """Stop this home's own Redis server; a configured one is left alone. Its data stays on disk."""
    from ragstone.runtime.redis_server import stop_redis

    options = invocation(context)
    stopped = stop_redis(options.settings())
    said = "stopped this home's Redis server" if stopped else "this home has no Redis server running"
    emit(options, {"stopped": stopped}, lambda screen: screen.print(said))


def _exit_code_of_failed_start() -> int:
    from ragstone.runtime.errors import EXIT_DEPENDENCY

    return EXIT_DEPENDENCY
