"""`CURRENT`: the one small file that says which snapshot is served. Publishing and rolling back replace it at once.

It is not there before anything was published, and after a purge that left nothing to index.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from ragstone.runtime.errors import IndexIncompatibleError
from serving.index.files import CURRENT_FILE, flush_to_disk, replace_file


class Pointer(BaseModel):
    """What `CURRENT` holds.

    `manifest_sha256` guards the manifest, as the manifest guards the files. After a rollback, `held_back` is the
    source_hash of the snapshot that was left: it is not published again until its sources change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    manifest_sha256: str
    held_back: str | None = None


_NEXT_STEP: Final = "ragstone index publish VERSION; ragstone index list names the versions"


def read_pointer(index_root: Path) -> Pointer | None:
    """Return what `CURRENT` says, or None when nothing is published. Raises IndexIncompatibleError."""
    path = index_root / CURRENT_FILE
    try:
        return Pointer.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as unreadable:
        raise IndexIncompatibleError(
            "the pointer to the published index cannot be read",
            where=str(path),
            got=str(unreadable).splitlines()[0],
            wanted="a version and the SHA-256 of its manifest",
            next_step=_NEXT_STEP,
        ) from unreadable


def write_pointer(index_root: Path, pointer: Pointer) -> None:
    """Make `CURRENT` say this, at once and for good."""
    replace_file(index_root / CURRENT_FILE, pointer.model_dump_json().encode() + b"\n")


def withdraw_pointer(index_root: Path) -> None:
    """Take `CURRENT` away, for good: nothing is published then, and services say so instead of serving what was."""
    (index_root / CURRENT_FILE).unlink(missing_ok=True)
    flush_to_disk(index_root)
