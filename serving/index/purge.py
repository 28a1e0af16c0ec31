"""A document in the index: a new snapshot without it is served first, then every snapshot that has it goes.

When nothing is left to index, no snapshot is served at all: `CURRENT` is withdrawn.
"""

from __future__ import annotations

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.lake import read
from ragstone.runtime.errors import ContractError, IndexGateError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from serving.index import build
from serving.index.files import ROWS_FILE, exclusively
from serving.index.manifest import read_manifest
from serving.index.pointer import read_pointer, withdraw_pointer, write_pointer
from serving.index.publish import remove, remove_leftovers, version_names
from serving.index.sidecar import open_rows
from serving.index.snapshot import open_snapshot


def snapshots_with(settings: Settings, document_id: str) -> list[str]:
    """Return the versions on disk that have a chunk of a document, newest first."""
    root = settings.index_root
    return [name for name in version_names(root) if document_id in _documents(settings, name)]


def purge_index(settings: Settings, document_id: str, run_id: str) -> dict[str, object]:
    """Publish an index of the lake as it is now, then remove the versions that have the document, and say which.

    The lake must be purged before. Nothing is published any more when nothing is left to index; `served` is None then.
    Raises IndexGateError when no index can be built for another reason; then what is served stays, and nothing is
    removed. Raises ContractError when the served version would have to go.
    """
    pointer = read_pointer(settings.index_root)
    if pointer is not None and pointer.version in snapshots_with(settings, document_id):
        _publish_without(settings, pointer.version, run_id)
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
            remove(settings.index_root, name)
        remove_leftovers(settings.index_root)
    return {"removed": doomed, "served": pointer.version if pointer else None}


def _publish_without(settings: Settings, served: str, run_id: str) -> None:
    try:
        build.run(settings, run_id)
    except IndexGateError as refused:
        if "not_empty" not in refused.failed_checks or not _nothing_to_index(settings, served):
            raise
        with exclusively(settings.index_root):
            withdraw_pointer(settings.index_root)
        get_logger(__name__).warning("index_withdrawn", version=served)


def _nothing_to_index(settings: Settings, served: str) -> bool:
    """Return whether an empty index is the truth, and not only a new embedding space that nobody has filled yet."""
    if read_manifest(settings.index_root / served).space == settings.embedding.space:
        return True
    return bool(read.state(settings.lake_root, SILVER_CHUNKS, columns=("chunk_id",)).num_rows == 0)


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
