"""`ragstone documents`: list documents, delete one at once, lift a delete."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table

app = typer.Typer(no_args_is_help=True, help="List documents, delete one at once, lift a delete.")

Document = Annotated[
    str,
    typer.Argument(
        help="A document_id, a source_uri, the path of a file, or the end of a source_uri such as with.txt."
    ),
]
Contains = Annotated[str | None, typer.Option("--contains", help="Only those whose address contains this.")]


@app.command("list")
def list_documents(context: typer.Context, contains: Contains = None) -> None:
    """List every document that was ever ingested, with its newest change."""
    from ragstone.lake.documents import bronze_state

    options = invocation(context)
    known = sorted(bronze_state(options.settings()).values(), key=lambda envelope: envelope.source_uri)
    shown = [envelope for envelope in known if contains is None or contains in envelope.source_uri]
    rows = [
        (
            envelope.document_id,
            envelope.source,
            envelope.source_uri,
            envelope.change,
            f"{envelope.fetched_at:%Y-%m-%d %H:%M:%S}",
            ", ".join(envelope.acl or ()),
        )
        for envelope in shown
    ]
    columns = ("document_id", "source", "source_uri", "newest change", "at", "readable by")
    emit(options, shown, lambda screen: screen.print(table(None, columns, rows)))


@app.command()
def delete(context: typer.Context, document: Document) -> None:
    """Delete a document: from the very next question on it is not answered from, whatever ingest finds."""
    from orchestration.naming import find_document
    from ragstone.features.access import delete_document

    options = invocation(context)
    settings = options.settings()
    found = find_document(settings, document)
    delete_document(settings, found.document_id, requested_by="command line")
    told = {"document_id": found.document_id, "source_uri": found.source_uri, "deleted": True}
    emit(options, told, lambda screen: screen.print(f"deleted: {found.source_uri}", soft_wrap=True))


@app.command()
def restore(context: typer.Context, document: Document) -> None:
    """Lift a delete: the document's last content counts again."""
    from orchestration.naming import find_document
    from ragstone.features.access import restore_document

    options = invocation(context)
    settings = options.settings()
    found = find_document(settings, document)
    restore_document(settings, found.document_id, requested_by="command line")
    told = {"document_id": found.document_id, "source_uri": found.source_uri, "restored": True}
    next_step = "ragstone run brings it back into answers"
    emit(options, told, lambda screen: screen.print(f"restored: {found.source_uri}\n{next_step}", soft_wrap=True))
