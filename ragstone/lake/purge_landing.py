"""A document in the landing zone: what it is known by there, and taking it out while the log stays whole.

The lines of a purged document become tombstones without its address, title or bytes, one for one, so every batch keeps
its number and its time, bronze can still be rebuilt from the log, and ingest knows the document by its id and passes
its item over.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ragstone.lake.landing import LandingZone
from ragstone.lake.purge_record import replace_private
from ragstone.runtime.settings import Settings

_AT_WORK_S: Final = 600
# Of a purged document's line only this stays: who it was, and where the line stands in the log.
KEPT_FIELDS: Final = ("document_id", "source", "fetched_at", "run_id")


def purged_uri(document_id: str) -> str:
    """Return what stands in place of a purged document's address."""
    return f"purged:{document_id}"


def landed_lines(settings: Settings) -> Iterator[dict[str, Any]]:
    """Yield every line of the landing log, oldest first, as it was written."""
    for _, lines in _batches(settings):
        yield from lines


def purge_landing(settings: Settings, document_id: str, objects: list[str]) -> dict[str, int]:
    """Replace a document's lines by tombstones, remove the landing objects named, and return how many of each went."""
    landing, rewritten = LandingZone(settings.landing_root), 0
    for number, lines in _batches(settings):
        purged = [_tombstone(line) if line["document_id"] == document_id else line for line in lines]
        if purged != lines:
            content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in purged)
            replace_private(landing.batch_path(number), content.encode("utf-8"))
            rewritten += 1
    removed = 0
    for uri in objects:
        path = landing.root / uri
        removed += path.is_file()
        path.unlink(missing_ok=True)
    _remove_scratch(landing)
    return {"batches": rewritten, "objects": removed}


def _tombstone(line: Mapping[str, Any]) -> dict[str, Any]:
    # A stream's batch must still be known for its own when it comes again.
    kept = {name: line[name] for name in (*KEPT_FIELDS, "origin") if name in line}
    return {**dict.fromkeys(line), **kept, "source_uri": purged_uri(line["document_id"]), "change": "deleted"}


def _batches(settings: Settings) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    folder = settings.landing_root / "batches"
    for path in sorted(folder.glob("*.jsonl")):
        # Split at line feeds alone: str.splitlines would also cut at separators that JSON leaves unescaped.
        yield int(path.stem), [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def _remove_scratch(landing: LandingZone) -> None:
    """Remove what killed writers left. A young one belongs to somebody who is landing a document right now."""
    horizon = time.time() - _AT_WORK_S
    for path in landing.root.rglob(".scratch-*"):
        if path.stat().st_mtime < horizon:
            path.unlink(missing_ok=True)
