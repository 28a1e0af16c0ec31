"""What is remembered of a purge while it runs, so that one that was killed goes on: ids and hashes, never a text.

One file per document, `<home>/purge/<document_id>.json`, for its owner alone. In the end only what has to stay is left
in it: which document, when, and what was proved.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ragstone.runtime.settings import Settings
from ragstone.runtime.traces import Traces

FOLDER: Final = "purge"


@dataclass
class PurgeRecord:
    """A purge under way, or done when `finished_at` is set: then traces, ids of chunks and of answers are gone.

    `answer_ids` are answers that cite the document, however few of its words they took.
    `shared_objects` are landing objects, and `shared_with` documents, that have some of the same bytes or passages and
    are not purged, so that these stay. `done` names the parts that are.
    """

    document_id: str
    started_at: str
    chunk_ids: list[str] = field(default_factory=list)
    answer_ids: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    shared_objects: list[str] = field(default_factory=list)
    shared_with: list[str] = field(default_factory=list)
    traces: Traces = field(default_factory=Traces)
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    finished_at: str | None = None


def begin(document_id: str) -> PurgeRecord:
    """Return the record of a purge that starts now; `save` keeps it."""
    return PurgeRecord(document_id, datetime.now(UTC).isoformat())


def load(settings: Settings, document_id: str) -> PurgeRecord | None:
    """Return the record of a purge that was begun, or None."""
    try:
        known = json.loads(record_path(settings, document_id).read_text("utf-8"))
    except FileNotFoundError:
        return None
    return PurgeRecord(**{**known, "traces": Traces.from_json(known["traces"])})


def save(settings: Settings, record: PurgeRecord) -> None:
    """Write the record, durably and at once."""
    path = record_path(settings, record.document_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {**vars(record), "traces": record.traces.as_json()}
    replace_private(path, json.dumps(content, indent=1).encode())


def finish(settings: Settings, record: PurgeRecord) -> None:
    """Mark a purge as done and let go of all that was needed to do it."""
    record.finished_at = datetime.now(UTC).isoformat()
    record.traces, record.chunk_ids, record.answer_ids, record.objects = Traces(salt=""), [], [], []
    save(settings, record)


def record_path(settings: Settings, document_id: str) -> Path:
    """Return where the record of a document's purge is."""
    return settings.home / FOLDER / f"{document_id}.json"


def replace_private(path: Path, content: bytes) -> None:
    """Give a file new content at once, readable by its owner alone, also when the machine stops right after."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
