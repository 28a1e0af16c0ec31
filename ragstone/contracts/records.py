"""The records that travel between parts: frozen, plain, and light to import."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

# Empty mappings as defaults are shared, so they must not be changed; records are frozen in spirit all the way down.
_NO_VERSIONS: Mapping[str, int] = {}


def new_run_id(at: datetime) -> str:
    """Return a run id that sorts by time: `20260102T030405-1a2b3c4d`."""
    return f"{at:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True)
class Envelope:
    """What the landing zone knows of one change of one source item; bronze can be rebuilt from these.

    `change` is one of fetched, access, metadata, vanished, deleted, restored. On vanished and deleted every field below
    `fetched_at` is None or empty. `landing_uri` is relative to the landing zone. `source_version` is what the source
    calls this version, such as an ETag: equal to the listed one, the item need not be fetched.
    """

    document_id: str
    source: str
    source_uri: str
    change: str
    fetched_at: datetime
    content_hash: str | None = None
    size_bytes: int | None = None
    mime_type: str | None = None
    landing_uri: str | None = None
    acl: tuple[str, ...] | None = None
    source_metadata: Mapping[str, str] | None = None
    source_modified_at: datetime | None = None
    source_version: str | None = None


@dataclass(frozen=True)
class Rejection:
    """One item or row on its way into quarantine."""

    step: str
    dataset: str
    item_key: str
    reason: str
    failed_rules: tuple[str, ...] = ()
    document_id: str | None = None
    content_hash: str | None = None
    payload_pointer: str | None = None


@dataclass(frozen=True)
class StepResult:
    """What one run of one step did. `rows_in` must equal accepted + unchanged + quarantined.

    `unit` says what is counted (items, documents, chunks, rows). `written` counts rows appended to the lake or sent
    online, tombstones included. `status` is ok, or unchanged when nothing was done.
    """

    step: str
    status: str
    unit: str
    accepted: int = 0
    unchanged: int = 0
    quarantined: int = 0
    written: int = 0
    tables_read: Mapping[str, int] = field(default_factory=lambda: _NO_VERSIONS)
    tables_written: Mapping[str, int] = field(default_factory=lambda: _NO_VERSIONS)
    watermark: int | None = None
    ruleset_hash: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def rows_in(self) -> int:
        """Return how many units the step read."""
        return self.accepted + self.unchanged + self.quarantined


@dataclass(frozen=True)
class Citation:
    """A quoted span of a chunk: [char_start, char_end) in the document's silver text, in code points."""

    marker: int
    chunk_id: str
    document_id: str
    title: str
    source_uri: str
    char_start: int
    char_end: int
    quote: str
    url: str


@dataclass(frozen=True)
class Principal:
    """Who asks, told by the API key alone; without a key, `anonymous` in the group `public`."""

    name: str
    groups: frozenset[str]
