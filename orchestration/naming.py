"""Which document a person means: its id, its address, its path, or the end of its address."""

from __future__ import annotations

from pathlib import Path

from ragstone.contracts.records import Envelope
from ragstone.lake.documents import bronze_state
from ragstone.runtime.errors import NotFoundError, UsageError
from ragstone.runtime.settings import Settings

_SHOWN = 5


def find_document(settings: Settings, name: str) -> Envelope:
    """Return the newest change of the one document that `name` means; living, vanished or deleted.

    `name` is a document_id, a source_uri, the path of a file, or the end of a source_uri such as `with.txt`. Raises
    NotFoundError when there is none and UsageError when there are several.
    """
    known = bronze_state(settings)
    if name in known:
        return known[name]
    spellings = _spellings(settings, name)
    whole = [envelope for envelope in known.values() if envelope.source_uri in spellings]
    found = whole or [envelope for envelope in known.values() if envelope.source_uri.endswith(f"/{name}")]
    if not found:
        raise NotFoundError(
            "no document of that name was ever ingested",
            where=str(settings.home),
            got=name,
            wanted="a document_id, a source_uri, the path of a file, or the end of a source_uri",
            next_step="ragstone documents list",
        )
    if len(found) > 1:
        raise UsageError(
            "several documents have that name",
            got=name,
            wanted=f"one of {', '.join(_told(envelope) for envelope in found[:_SHOWN])}",
            next_step="ragstone documents list",
        )
    return found[0]


def source_path(settings: Settings, source: str, source_uri: str) -> Path:
    """Return the file that an item of a files source is. Raises NotFoundError when the source is not set any more."""
    if source not in settings.folders:
        raise NotFoundError("that source is no folder of files, or no longer", got=source, wanted=[*settings.folders])
    return settings.folders[source] / source_uri


def _spellings(settings: Settings, name: str) -> set[str]:
    path = Path(name).absolute()
    roots = [root for root in settings.folders.values() if path.is_relative_to(root)]
    return {name, *(path.relative_to(root).as_posix() for root in roots)}


def _told(envelope: Envelope) -> str:
    return f"{envelope.document_id} ({envelope.source}: {envelope.source_uri})"
