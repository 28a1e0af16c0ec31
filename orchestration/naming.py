"""Which document a person means: its id, its address, its path, or the end of either."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

from ragstone.contracts.records import Envelope
from ragstone.lake.documents import bronze_state
from ragstone.runtime.errors import NotFoundError, UsageError
from ragstone.runtime.settings import Settings

_SHOWN = 5


def find_document(settings: Settings, name: str) -> Envelope:
    """Return the newest change of the one document that `name` means; living, vanished or deleted.

    `name` is a document_id, a source_uri, a path, or the end of one of the latter such as `topics/with.txt`. Raises
    NotFoundError when there is none and UsageError when there are several.
    """
    known = bronze_state(settings)
    if name in known:
        return known[name]
    whole = [envelope for envelope in known.values() if _address(envelope) in _spellings(name)]
    found = whole or [envelope for envelope in known.values() if _address(envelope).endswith(f"/{name.lstrip('/')}")]
    if not found:
        raise NotFoundError(
            "no document of that name was ever ingested",
            where=str(settings.home),
            got=name,
            wanted="a document_id, a source_uri, a path, or the end of one",
            next_step="ragstone documents list",
        )
    if len(found) > 1:
        raise UsageError(
            "several documents have that name",
            got=name,
            wanted=f"one of {', '.join(sorted(envelope.source_uri for envelope in found)[:_SHOWN])}",
            next_step="ragstone documents list",
        )
    return found[0]


def _address(envelope: Envelope) -> str:
    return unquote(envelope.source_uri)


def _spellings(name: str) -> frozenset[str]:
    path = Path(name).absolute()
    return frozenset({unquote(name), str(path), f"file://{path}"})
