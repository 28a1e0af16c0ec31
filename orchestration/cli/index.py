"""`ragstone index`: build, verify, publish, roll back, list, explain and compare index snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.moments import MOMENT, moment
from orchestration.cli.output import emit, table

if TYPE_CHECKING:
    from serving.index.differences import ChunkChange, IndexDiff
    from serving.index.manifest import IndexManifest

app = typer.Typer(no_args_is_help=True, help="Build, verify, publish, roll back, list, explain and compare indexes.")

AsOfTime = Annotated[
    datetime | None,
    typer.Option("--as-of", parser=moment, metavar=MOMENT, help="Index what was known by then; it is never published."),
]
Publish = Annotated[bool, typer.Option(help="Publish what was built.")]
# What a person reads; programs get all of it.
_MOST_ROWS = 40

Version = Annotated[str, typer.Argument(help="A version that `ragstone index list` names.")]


@app.command()
def build(context: typer.Context, as_of: AsOfTime = None, publish: Publish = True) -> None:
    """Build a snapshot, judge it and publish it; exit code 3 when a gate refuses."""
    if publish and as_of is None:
        from orchestration.cli.steps import run_stretch

        run_stretch(invocation(context), "index", "index")
        return
    from orchestration.runner import started_run_id
    from serving.index.build import build as build_index

    options = invocation(context)
    built = build_index(options.settings(), started_run_id(), as_of)
    emit(options, built.model_dump(mode="json"), lambda screen: _show(screen, "built", built))


@app.command()
def verify(
    context: typer.Context, version: Annotated[str | None, typer.Argument(help="The served one by default.")] = None
) -> None:
    """Hold a snapshot against its manifest and against the lake; exit code 3 when a check fails."""
    from serving.index.snapshot import open_current, open_snapshot
    from serving.index.verify import verify as verify_index

    options = invocation(context)
    settings = options.settings()
    snapshot = open_snapshot(settings.index_root / version) if version else open_current(settings)
    checks = verify_index(snapshot, settings)
    document = {"version": snapshot.manifest.version, "passed": checks}
    emit(options, document, lambda screen: screen.print(f"{snapshot.manifest.version} passed: {', '.join(checks)}"))


@app.command()
def publish(context: typer.Context, version: Version) -> None:
    """Judge a snapshot anew and make it the served one, at once; exit code 3 when a gate refuses."""
    from serving.index.publish import publish as publish_index

    options = invocation(context)
    published = publish_index(options.settings(), version)
    emit(options, published.model_dump(mode="json"), lambda screen: _show(screen, "published", published))


@app.command()
def rollback(
    context: typer.Context,
    version: Annotated[str | None, typer.Argument(help="The newest before the served one by default.")] = None,
) -> None:
    """Serve an older snapshot again; the one left is not published again until its sources change."""
    from serving.index.publish import rollback as roll_back

    options = invocation(context)
    served = roll_back(options.settings(), version)
    emit(options, served.model_dump(mode="json"), lambda screen: _show(screen, "served again", served))


@app.command("list")
def list_versions(context: typer.Context) -> None:
    """List all snapshots, newest first, refused ones with the gates that failed."""
    from serving.index.publish import list_versions as versions_on_disk

    options = invocation(context)
    versions = versions_on_disk(options.settings())
    document = [
        {
            **each.manifest.model_dump(mode="json"),
            "current": each.current,
            "failed_gates": each.manifest.failed_gates,
        }
        for each in versions
    ]
    columns = ("version", "served", "refused by", "kind", "chunks", "documents", "built", "as of")
    rows = [
        (
            each.manifest.version,
            "yes" if each.current else "",
            ", ".join(each.manifest.failed_gates),
            each.manifest.kind,
            each.manifest.count,
            each.manifest.document_count,
            f"{each.manifest.built_at:%Y-%m-%d %H:%M:%S}",
            None if each.manifest.known_by is None else f"{each.manifest.known_by:%Y-%m-%d %H:%M:%S}",
        )
        for each in versions
    ]
    emit(options, document, lambda screen: screen.print(table(None, columns, rows)))


@app.command()
def explain(context: typer.Context, version: Version) -> None:
    """Say what every gate said of a snapshot: what it got, and what it wanted."""
    from serving.index.manifest import read_manifest
    from serving.index.publish import folder_of

    options = invocation(context)
    manifest = read_manifest(folder_of(options.settings(), version))
    verdict = "refused" if manifest.failed_gates else "passed"
    rows = [(gate.name, gate.outcome.replace("_", " "), gate.got, gate.wanted) for gate in manifest.gates]
    document = {"version": version, "verdict": verdict, "gates": [gate.model_dump() for gate in manifest.gates]}
    title = f"index {version}: {verdict}"
    emit(options, document, lambda screen: screen.print(table(title, ("gate", "outcome", "got", "wanted"), rows)))


@app.command()
def diff(context: typer.Context, older: Version, newer: Version) -> None:
    """Say which documents, chunks and golden answers changed between two snapshots."""
    from serving.index.differences import diff as diff_versions

    options = invocation(context)
    found = diff_versions(options.settings(), older, newer)
    emit(options, found, lambda screen: _show_diff(screen, found))


def _show_diff(screen: Console, found: IndexDiff) -> None:
    screen.print(
        f"{found.older} to {found.newer}: {len(found.chunks_added):,} chunks added, "
        f"{len(found.chunks_removed):,} removed, {found.chunks_kept:,} kept"
    )
    documents = [
        (each.title or each.document_id, each.change, each.chunks_added, each.chunks_removed)
        for each in found.documents[:_MOST_ROWS]
    ]
    title = f"Documents that changed: {len(found.documents):,}"
    screen.print(table(title, ("document", "change", "chunks added", "chunks removed"), documents))
    golden = [
        (each.text, _titled(each.best_before), _titled(each.best_after), len(each.entered), len(each.left))
        for each in found.golden[:_MOST_ROWS]
    ]
    title = f"Golden questions that find other chunks: {len(found.golden):,} of {found.golden_asked:,}"
    screen.print(table(title, ("question", "best before", "best after", "entered", "left"), golden))
    if max(len(found.documents), len(found.golden)) > _MOST_ROWS:
        screen.print(f"tables end after {_MOST_ROWS} rows; --json has all of them")


def _titled(chunk: ChunkChange | None) -> str:
    return "" if chunk is None else f"{chunk.title or chunk.document_id} ({chunk.chunk_id[:8]})"


def _show(console: Console, done: str, manifest: IndexManifest) -> None:
    console.print(f"index {manifest.version} {done}: {manifest.count:,} chunks, {manifest.kind}")
