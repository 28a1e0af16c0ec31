"""Which snapshot is served: publishing, rolling back, listing and pruning versions of the index."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from ragstone.runtime.errors import IndexIncompatibleError, NotFoundError, UsageError
from ragstone.runtime.settings import Settings
from serving.index.files import AS_OF_PREFIX, BUILDING_PREFIX, MANIFEST_FILE, build_time, exclusively, sha256_of
from serving.index.gates import Candidate, judge, record, refuse
from serving.index.manifest import IndexManifest, read_manifest
from serving.index.pointer import Pointer, read_pointer, write_pointer
from serving.index.snapshot import open_snapshot


@dataclass(frozen=True)
class IndexVersion:
    """One snapshot on disk, and whether it is the one served."""

    manifest: IndexManifest
    current: bool


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
    """Judge a version anew and make it the served one, at once. Raises IndexGateError, then what is served stays."""
    with exclusively(settings.index_root):
        manifest = judged_again(settings, version)
        point_to(settings, version)
    return manifest


def judged_again(settings: Settings, version: str) -> IndexManifest:
    """Let a version pass its gates now; one that was refused before is so no longer. Raises IndexGateError.

    Golden answers are those the version gave when it was built. The caller holds the folder alone.
    """
    folder = folder_of(settings, version)
    candidate = Candidate(folder, open_snapshot(folder), settings)
    gates = judge(candidate)
    refuse(version, gates)
    # The manifest of a served version is never written again: `CURRENT` names its checksum.
    return record(candidate, gates) if candidate.manifest.failed_gates else candidate.manifest


def rollback(settings: Settings, version: str | None = None) -> IndexManifest:
    """Serve an older version again: the given one, or the newest before the served one that passed its gates.

    The version left is held back: it is not published again until its sources change. Every byte is held against the
    manifest, and the gates are taken at their word: a way back must not wait, or depend on what went wrong since.
    Raises UsageError when there is no older version, IndexGateError when its gates had refused the given one.
    """
    with exclusively(settings.index_root):
        pointer = read_pointer(settings.index_root)
        names = version_names(settings.index_root)
        older = [name for name in names if pointer and name < pointer.version and _sound(settings, name)]
        target = version or next(iter(older), None)
        if pointer is None or target is None:
            raise UsageError(
                "there is no older index to roll back to",
                where=str(settings.index_root),
                got=names,
                wanted="a version older than the served one",
                next_step="ragstone index list",
            )
        manifest = open_snapshot(folder_of(settings, target)).manifest
        refuse(target, manifest.gates)
        left = _manifest(settings, pointer.version)
        point_to(settings, target, held_back=None if left is None else left.source_hash)
    return manifest


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
    """Remove all but the newest versions, sound, refused and of past days each, and the served one; return what went.

    Readers that still have a removed version mapped go on reading it. The caller holds the folder alone.
    """
    remove_leftovers(settings.index_root)
    removed = _prunable(settings)
    for name in removed:
        remove(settings.index_root, name)
    return removed


def remove_leftovers(index_root: Path) -> None:
    """Remove what killed builds and removals left. The caller holds the folder alone."""
    for leftover in index_root.glob(f"{BUILDING_PREFIX}*"):
        shutil.rmtree(leftover)


def remove(index_root: Path, version: str) -> None:
    """Remove a version. It is none any more before its first file goes, so that a kill leaves no half of one."""
    doomed = index_root / f"{BUILDING_PREFIX}{version}"
    (index_root / version).rename(doomed)
    shutil.rmtree(doomed)


def prune_alone(settings: Settings, *, dry_run: bool = False) -> list[str]:
    """Prune as maintenance does, holding the folder, and return what went or, with `dry_run`, would go."""
    if dry_run or not settings.index_root.is_dir():
        return _prunable(settings)
    with exclusively(settings.index_root):
        return prune(settings)


def _prunable(settings: Settings) -> list[str]:
    """Return the versions beyond those kept, newest first; refused ones never push out one that can be served."""
    try:
        pointer = read_pointer(settings.index_root)
    except IndexIncompatibleError:
        # Nobody can tell which version is served, so none goes.
        return []
    keep, names = settings.index.keep_versions, version_names(settings.index_root)
    past, sound = list(filter(_is_past, names)), [name for name in names if _sound(settings, name)]
    refused = [name for name in names if name not in past and name not in sound]
    beyond = {*sound[keep:], *refused[keep:], *past[settings.index.keep_as_of :]}
    return [name for name in names if name in beyond and (pointer is None or name != pointer.version)]


def _is_past(version: str) -> bool:
    return version.startswith(AS_OF_PREFIX)


def _sound(settings: Settings, version: str) -> bool:
    """Return whether a version can be served: it is an index of the present, and no gate refused it."""
    manifest = None if _is_past(version) else _manifest(settings, version)
    return manifest is not None and not manifest.failed_gates


def _manifest(settings: Settings, version: str) -> IndexManifest | None:
    try:
        return read_manifest(settings.index_root / version)
    except IndexIncompatibleError:
        return None


def _is_version(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(BUILDING_PREFIX) and (path / MANIFEST_FILE).is_file()


def folder_of(settings: Settings, version: str) -> Path:
    """Return the folder of a version on disk. Raises NotFoundError."""
    if version not in version_names(settings.index_root):
        raise NotFoundError(
            f"there is no index version {version!r}",
            where=str(settings.index_root),
            got=version,
            wanted=f"one of {version_names(settings.index_root)}",
            next_step="ragstone index list",
        )
    return settings.index_root / version
