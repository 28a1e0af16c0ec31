"""`ragstone training-set`: labels with the features that were known at their times."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit
from ragstone.contracts.names import TRAINING_SERVICE

app = typer.Typer()


@app.command("training-set")
def training_set(
    context: typer.Context,
    labels: Annotated[Path, typer.Option(help="Parquet with the entity keys and an event_timestamp in UTC.")],
    out: Annotated[Path, typer.Option(help="Parquet to write; its manifest is written beside it.")],
    service: Annotated[str, typer.Option(help="The feature service to join.")] = TRAINING_SERVICE,
    as_of: Annotated[datetime | None, typer.Option("--as-of", help="Leave out what became known later, UTC.")] = None,
) -> None:
    """Join labels with the features known at each label's time: no row sees anything later."""
    from ragstone.contracts.state import AsOf
    from ragstone.features.training import training_set as pull

    options = invocation(context)
    bound = AsOf(known_by=as_of.replace(tzinfo=UTC)) if as_of else AsOf()
    pulled = pull(options.settings(), labels, service, bound)
    manifest_path = pulled.write(out)
    document = {"out": out, "manifest": manifest_path, **pulled.manifest}
    emit(options, document, lambda screen: screen.print(f"{pulled.table.num_rows:,} rows in {out}", soft_wrap=True))
