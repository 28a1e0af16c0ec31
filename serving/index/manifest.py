"""What an index snapshot says of itself: what it was built from, how, and the checksum of every file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ragstone.runtime.errors import IndexIncompatibleError
from ragstone.runtime.settings import AbstainSettings
from serving.index.files import MANIFEST_FILE, flush_to_disk, replace_file, sha256_of

FORMAT: Final = 2

IndexKind = Literal["flat", "quantised"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableRead(_Record):
    """A table of the lake as the build read it: the version that last changed rows, and its identity from creation."""

    version: int
    table_id: str | None


class FileRecord(_Record):
    """One file of the snapshot."""

    sha256: str
    size_bytes: int


class GateResult(_Record):
    """What one gate said: `not_applied` when there was nothing to hold the index against, and `got` says what."""

    name: str
    outcome: Literal["passed", "failed", "not_applied"]
    got: str
    wanted: str


class IndexManifest(_Record):
    """The manifest of one snapshot.

    `known_by` bounds the state that was indexed by event time, None meaning all; `built_at` is not before any row that
    was read, so reading the lake with rows written by `built_at` gives the same state again. `count` is the number of
    chunks. `source_hash` names everything the content follows from: equal hashes mean nothing needs building.
    `abstain` is the model that decides whether a question can be answered from this index, with its evidence. `gates`
    has what every gate said, in their order; an index that one of them refused is kept, and never served.
    """

    format: int = FORMAT
    version: str
    run_id: str
    built_at: datetime
    known_by: datetime | None
    kind: IndexKind
    factory: str
    metric: Literal["inner_product"] = "inner_product"
    dim: int
    count: int
    document_count: int
    word_count: int
    space: str
    model_id: str
    model_hash: str
    encoder_hash: str
    chunker_hashes: tuple[str, ...]
    service: str
    views: dict[str, str]
    tables: dict[str, TableRead]
    left_out: dict[str, int]
    abstain: AbstainSettings
    source_hash: str
    files: dict[str, FileRecord]
    gates: tuple[GateResult, ...] = ()

    @property
    def failed_gates(self) -> tuple[str, ...]:
        """Return the names of the gates that refused the index; none for one that may be served."""
        return tuple(gate.name for gate in self.gates if gate.outcome == "failed")


def file_record(path: Path) -> FileRecord:
    """Return what a manifest says of a file, once the file is on the disk."""
    flush_to_disk(path)
    return FileRecord(sha256=sha256_of(path), size_bytes=path.stat().st_size)


def write_manifest(folder: Path, manifest: IndexManifest) -> None:
    """Write the manifest into a snapshot's folder, at once and for good."""
    replace_file(folder / MANIFEST_FILE, (manifest.model_dump_json(indent=2) + "\n").encode())


def read_manifest(folder: Path) -> IndexManifest:
    """Return the manifest of a snapshot. Raises IndexIncompatibleError when it is missing or unreadable."""
    path = folder / MANIFEST_FILE
    try:
        found = IndexManifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as unreadable:
        raise IndexIncompatibleError(
            "an index manifest cannot be read",
            where=str(path),
            got=str(unreadable).splitlines()[0],
            wanted=f"a manifest of format {FORMAT}",
            next_step="ragstone index rollback, or ragstone index build",
        ) from unreadable
    if found.format != FORMAT:
        raise IndexIncompatibleError(
            "an index was written in another format",
            where=str(path),
            got=f"format {found.format}",
            wanted=f"format {FORMAT}",
            next_step="ragstone index build",
        )
    return found
