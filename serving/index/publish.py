"""Which snapshot is served: publishing, rolling back, listing, comparing and pruning versions of the index."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ragstone.runtime.errors import NotFoundError, UsageError
from ragstone.runtime.settings import Settings
from serving.index.files import AS_OF_PREFIX, BUILDING_PREFIX, MANIFEST_FILE, build_time, exclusively, sha256_of
from serving.index.manifest import IndexManifest, read_manifest
from serving.index.pointer import Pointer, read_pointer, write_pointer
from serving.index.snapshot import open_snapshot
from serving.index.verify import verify


@dataclass(frozen=True)
class IndexVersion:
    """One snapshot on disk, and whether it is the one served."""

    manifest: IndexManifest
    current: bool


@dataclass(frozen=True)
class IndexDiff:
    """What changed from one version to another: chunks by id, documents by id."""

    older: str
    newer: str
    chunks_added: tuple[str, ...]
    chunks_removed: tuple[str, ...]
    chunks_kept: int
    documents_added: tuple[str, ...]
    documents_removed: tuple[str, ...]


def version_names(index_root: Path) -> list[str]:
    """Return the versions on disk, newest build first, those of past days too; what is still being built is none."""
    if not index_root.is_dir():
        return []
    return sorted((path.name for path in index_root.iterdir() if _is_version(path)), key=build_time, reverse=True)


def list_versions(settings: Settings) -> list[IndexVersion]:
    """Return all versions on disk, newest first. Raises IndexIncompatibleError when a manifest cannot be read."""
    pointer = read_pointer(settings.index_root)
    served = pointer.version if pointer else None
    names = version_names(settings.index_root)
    return [IndexVersion(read_manifest(settings.index_root / name), name == served) for name in names]


def publish(settings: Settings, version: str) -> IndexManifest:
    """Verify a version and make it the served one, at once. Raises IndexGateError, then what is served stays."""
    with exclusively(settings.index_root):
        manifest = verify_version(settings, version)
        point_to(settings, version)
    return manifest


def verify_version(settings: Settings, version: str) -> IndexManifest:
    """Check a version against its manifest and the lake, changing nothing. Raises IndexGateError or NotFoundError."""
    snapshot = open_snapshot(_folder(settings, version))
    verify(snapshot, settings)
    return snapshot.manifest


def rollback(settings: Settings, version: str | None = None) -> IndexManifest:
    """Serve an older version again: the given one, or the newest before the served one.

    The version left is held back: it is not published again until its sources change. Raises UsageError when there
    is no older version.
    """
    with exclusively(settings.index_root):
        pointer = read_pointer(settings.index_root)
        names = version_names(settings.index_root)
        older = [name for name in names if pointer and not _is_past(name) and name < pointer.version]
        target = version or next(iter(older), None)
        if pointer is None or target is None:
            raise UsageError(
                "there is no older index to roll back to",
                where=str(settings.index_root),
                got=names,
                wanted="a version older than the served one",
                next_step="ragstone index list",
            )
        manifest = verify_version(settings, target)
        point_to(settings, target, held_back=read_manifest(_folder(settings, pointer.version)).source_hash)
    return manifest


def diff(settings: Settings, older: str, newer: str) -> IndexDiff:
    """Return what changed between two versions, ids in order."""
    before, after = (open_snapshot(_folder(settings, version)).rows() for version in (older, newer))
    chunks = [set(rows["chunk_id"].to_pylist()) for rows in (before, after)]
    documents = [set(rows["document_id"].to_pylist()) for rows in (before, after)]
    return IndexDiff(
        older=older,
        newer=newer,
        chunks_added=tuple(sorted(chunks[1] - chunks[0])),
        chunks_removed=tuple(sorted(chunks[0] - chunks[1])),
        chunks_kept=len(chunks[0] & chunks[1]),
        documents_added=tuple(sorted(documents[1] - documents[0])),
        documents_removed=tuple(sorted(documents[0] - documents[1])),
    )


def point_to(settings: Settings, version: str, held_back: str | None = None) -> None:
    """Flip `CURRENT` to a version that has passed its gate. The caller holds the index folder alone.

    Raises UsageError for the corpus of a past day, which is asked with `--as-of` and never served.
    """
    if _is_past(version):
        raise UsageError(
            "an index of a past day cannot be served",
            where=str(settings.index_root),
            got=version,
            wanted="an index of everything that is known",
            next_step="ragstone ask --as-of T asks the corpus of that day",
        )
    digest = sha256_of(settings.index_root / version / MANIFEST_FILE)
    write_pointer(settings.index_root, Pointer(version=version, manifest_sha256=digest, held_back=held_back))


def prune(settings: Settings) -> list[str]:
    """Remove all but the newest versions, of now and of past days each, and the served one; return what went.

    The caller holds the folder alone.     Readers that still have a removed version mapped go on reading it.
    """
    removed = _prunable(settings)
    for name in removed:
        shutil.rmtree(settings.index_root / name)
    return removed


def prune_alone(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Prune as maintenance does, holding the folder, and return what went or, with `dry_run`, would go."""
    if dry_run or not settings.index_root.is_dir():
        return _prunable(settings)
    with exclusively(settings.index_root):
        return prune(settings)


def _prunable(settings: Settings) -> list[str]:
    pointer = read_pointer(settings.index_root)
    served = pointer.version if pointer else None
    names = version_names(settings.index_root)
    past, present = [list(filter(_is_past, names)), [name for name in names if not _is_past(name)]]
    prunable = {*present[settings.index.keep_versions :], *past[settings.index.keep_as_of :]} - {served}
    return [name for name in names if name in prunable]


def _is_past(version: str) -> bool:
    return version.startswith(AS_OF_PREFIX)


def _is_version(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(BUILDING_PREFIX) and (path / MANIFEST_FILE).is_file()


def _folder(settings: Settings, version: str) -> Path:
    if version not in version_names(settings.index_root):
        raise NotFoundError(
            f"there is no index version {version!r}",
            where=str(settings.index_root),
            got=version,
            wanted=f"one of {version_names(settings.index_root)}",
            next_step="ragstone index list",
        )
    return settings.index_root / version
