"""`ragstone serve` and `ragstone stop`."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit
from ragstone.runtime.errors import DependencyUnavailableError

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
    service = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(service, settings.serving.host, settings.serving.port, log_config=None))
    # uvicorn ends the process with codes of its own when it cannot start; ours say why.
    with suppress(SystemExit):
        server.run()
    if service.state.refusal is not None:
        raise service.state.refusal
    if not server.started:
        raise DependencyUnavailableError(
            "the service cannot listen",
            where=f"{settings.serving.host}:{settings.serving.port}",
            wanted="a free port on an address of this machine",
            next_step="stop what listens there, or choose another --port",
        )


@app.command()
def stop(context: typer.Context) -> None:
    """Stop this home's own Redis server; a configured one is left alone. Its data stays on disk."""
    from ragstone.runtime.redis_server import stop_redis

    options = invocation(context)
    stopped = stop_redis(options.settings())
    said = "stopped this home's Redis server" if stopped else "this home has no Redis server running"
    emit(options, {"stopped": stopped}, lambda screen: screen.print(said))
