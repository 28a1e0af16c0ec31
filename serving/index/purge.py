"""A document in the index: a new snapshot without it is served first, then every snapshot that has it goes."""

from __future__ import annotations

import shutil

from ragstone.runtime.errors import ContractError
from ragstone.runtime.settings import Settings
from serving.index import build
from serving.index.files import BUILDING_PREFIX, ROWS_FILE, exclusively
from serving.index.pointer import read_pointer, write_pointer
from serving.index.publish import version_names
from serving.index.sidecar import open_rows
from serving.index.snapshot import open_snapshot


def snapshots_with(settings: Settings, document_id: str) -> list[str]:
    """Return the versions on disk that have a chunk of a document, newest first."""
    root = settings.index_root
    return [name for name in version_names(root) if document_id in _documents(settings, name)]


def purge_index(settings: Settings, document_id: str, run_id: str) -> dict[str, object]:
    """Publish an index of the lake as it is now, then remove the versions that have the document, and say which.

    The lake must be purged before. Raises IndexGateError when no index can be built, such as one of no document at all;
    then what is served stays, and nothing is removed. Raises ContractError when the served version would have to go.
    """
    if read_pointer(settings.index_root) is not None and snapshots_with(settings, document_id):
        build.run(settings, run_id)
    with exclusively(settings.index_root):
        pointer, doomed = read_pointer(settings.index_root), snapshots_with(settings, document_id)
        if pointer is not None and pointer.version in doomed:
            raise ContractError(
                "the served index has a document that is to be purged",
                where=f"index {pointer.version}",
                wanted="a newer one without it",
                next_step="ragstone index build; then repeat the purge",
            )
        for name in doomed:
            shutil.rmtree(settings.index_root / name)
        for leftover in settings.index_root.glob(f"{BUILDING_PREFIX}*"):
            shutil.rmtree(leftover)
    return {"removed": doomed, "served": pointer.version if pointer else None}


def renew_pointer(settings: Settings) -> bool:
    """Write `CURRENT` again as it is, so that running services take the index up anew and forget decoded passages."""
    with exclusively(settings.index_root):
        pointer = read_pointer(settings.index_root)
        if pointer is not None:
            write_pointer(settings.index_root, pointer)
    return pointer is not None


def foreign_rows(settings: Settings, chunk_ids: frozenset[str]) -> dict[str, int]:
    """Return by version how many of its rows are of these chunks; opening it proves one vector to each row."""
    found = {}
    for name in version_names(settings.index_root):
        rows = open_snapshot(settings.index_root / name).rows()
        found[name] = sum(chunk_id in chunk_ids for chunk_id in rows["chunk_id"].to_pylist())
    return found


def _documents(settings: Settings, version: str) -> set[str]:
    return set(open_rows(settings.index_root / version / ROWS_FILE)["document_id"].to_pylist())
