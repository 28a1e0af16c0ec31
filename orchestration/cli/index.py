"""`ragstone index`: build, verify, publish, roll back, list and compare index snapshots."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from orchestration.cli.invocation import invocation
from orchestration.cli.moments import MOMENT, moment
from orchestration.cli.output import emit, table

if TYPE_CHECKING:
    from serving.index.manifest import IndexManifest

app = typer.Typer(no_args_is_help=True, help="Build, verify, publish, roll back, list and compare index snapshots.")

AsOfTime = Annotated[
    datetime | None,
    typer.Option("--as-of", parser=moment, metavar=MOMENT, help="Index what was known by then; it is never published."),
]
Publish = Annotated[bool, typer.Option(help="Publish what was built.")]
Version = Annotated[str, typer.Argument(help="A version that `ragstone index list` names.")]


@app.command()
def build(context: typer.Context, as_of: AsOfTime = None, publish: Publish = True) -> None:
    """Build a snapshot, verify it and publish it; exit code 3 when its gate refuses."""
    if publish and as_of is None:
        from orchestration.cli.steps import run_stretch

        run_stretch(invocation(context), "index", "index")
        return
    from orchestration.runner import started_run_id
    from serving.index.build import build as build_index

    options = invocation(context)
    built = build_index(options.settings(), started_run_id(), as_of)
    emit(options, built.model_dump(mode="json"), lambda screen: _show(screen, "built and verified", built))


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
    """Verify a snapshot and make it the served one, at once."""
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
    """List all snapshots, newest first."""
    from serving.index.publish import list_versions as versions_on_disk

    options = invocation(context)
    versions = versions_on_disk(options.settings())
    document = [{**each.manifest.model_dump(mode="json"), "current": each.current} for each in versions]
    columns = ("version", "served", "kind", "chunks", "documents", "built", "as of")
    rows = [
        (
            each.manifest.version,
            "yes" if each.current else "",
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
def diff(context: typer.Context, older: Version, newer: Version) -> None:
    """Say which chunks and documents came and went between two snapshots."""
    from serving.index.publish import diff as diff_versions

    options = invocation(context)
    found = diff_versions(options.settings(), older, newer)
    rows = [
        ("chunks", len(found.chunks_added), len(found.chunks_removed), found.chunks_kept),
        ("documents", len(found.documents_added), len(found.documents_removed), None),
    ]
    columns = ("what", "added", "removed", "kept")
    emit(options, found, lambda screen: screen.print(table(f"{older} to {newer}", columns, rows)))


def _show(console: Console, done: str, manifest: IndexManifest) -> None:
    console.print(f"index {manifest.version} {done}: {manifest.count:,} chunks, {manifest.kind}")
