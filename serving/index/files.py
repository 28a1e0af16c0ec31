"""The files of an index snapshot, and writing them so that a crash leaves either all of a file or none of it."""

from __future__ import annotations

import hashlib
import os
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ragstone.runtime.file_lock import exclusive

VECTORS_FILE: Final = "vectors.faiss"
ROWS_FILE: Final = "rows.arrow"
WORDS_FILE: Final = "words.arrow"
DOCUMENTS_FILE: Final = "documents.arrow"
GOLDEN_FILE: Final = "golden.json"
MANIFEST_FILE: Final = "manifest.json"
CURRENT_FILE: Final = "CURRENT"
DATA_FILES: Final = (VECTORS_FILE, ROWS_FILE, WORDS_FILE, DOCUMENTS_FILE)
BUILDING_PREFIX: Final = ".building-"

AS_OF_PREFIX: Final = "as-of-"

_TIME: Final = "%Y%m%dT%H%M%S%fZ"
_LOCK_FILE: Final = ".lock"


def version_name(built_at: datetime, known_by: datetime | None) -> str:
    """Return the name of a version: the time of its build, after that of its corpus where that is a past one."""
    past = "" if known_by is None else f"{AS_OF_PREFIX}{known_by.astimezone(UTC):{_TIME}}-"
    return f"{past}{built_at:{_TIME}}"


def build_time(version: str) -> str:
    """Return what orders versions: the part of the name that says when it was built."""
    return version.rpartition("-")[2]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def flush_to_disk(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Give a file new content at once: a reader sees the old bytes or the new ones, also after a crash."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_bytes(content)
    flush_to_disk(beside)
    beside.replace(path)
    flush_to_disk(path.parent)


def exclusively(index_root: Path) -> AbstractContextManager[None]:
    """Hold the index folder alone among all that build, publish or prune; readers are never held up."""
    return exclusive(index_root / _LOCK_FILE)
