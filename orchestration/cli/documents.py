"""`ragstone documents`: list documents, delete one at once, lift a delete, purge one from every file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestration.cli.invocation import invocation
from orchestration.cli.output import emit, table
from ragstone.runtime.errors import UsageError

if TYPE_CHECKING:
    from ragstone.runtime.settings import Settings

app = typer.Typer(no_args_is_help=True, help="List documents, delete one at once, lift a delete, purge one.")

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


@app.command()
def purge(
    context: typer.Context,
    document: Document,
    yes: Annotated[bool, typer.Option("--yes", help="Really do it: nothing brings it back.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
) -> None:
    """Take a document out of every file of the home, and prove it; a purge that was stopped goes on."""
    from orchestration.purge import parts
    from orchestration.runner import started_run_id

    options = invocation(context)
    settings = options.settings()
    document_id = _purged_id(settings, document)
    if dry_run:
        found = parts.preview(settings, document_id)
        emit(options, found, lambda screen: screen.print(table("what would go", ("what", "value"), _told(found))))
        return
    if parts.is_finished(settings, document_id):
        emit(options, {"document_id": document_id, "purged": True}, lambda screen: screen.print("purged already"))
        return
    if not yes:
        raise UsageError(
            "a purge takes --yes: nothing brings a purged document back",
            where=document,
            next_step=f"ragstone documents purge {document_id} --dry-run tells what would go",
        )
    done = [(part, result) for part, result in parts.purge(settings, document_id, started_run_id())]
    rows = [(part.name, part.does, result.status, str(dict(result.details))) for part, result in done]
    told = {"document_id": document_id, "purged": True, "parts": [result for _, result in done]}
    emit(options, told, lambda screen: screen.print(table(f"purged {document_id}", ("part", "does", "", "did"), rows)))


def _purged_id(settings: Settings, name: str) -> str:
    """Return the id that a name means; a purge that has begun is known by the id alone."""
    from orchestration.naming import find_document
    from ragstone.lake import purge_record

    if name.isalnum() and purge_record.load(settings, name) is not None:
        return name
    return find_document(settings, name).document_id


def _told(found: Mapping[str, Any]) -> list[tuple[object, ...]]:
    return [(name, "\n".join(_lines(value))) for name, value in found.items()]


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{name}: {count:,}" for name, count in value.items() if count]
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
