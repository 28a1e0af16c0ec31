"""The vectors of a new snapshot: those of an earlier one of the same state, else read from the lake.

A list column is the slowest thing to read in the lake. Settings of search change more often than a state of it, and a
snapshot has that state's vectors as they lie in memory.
"""

from __future__ import annotations

from ragstone.contracts.state import AsOf
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.lake.vectors import IndexRows, fill_matrix
from ragstone.runtime.errors import IndexIncompatibleError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from serving.index import sources
from serving.index.manifest import IndexManifest, read_manifest
from serving.index.publish import version_names
from serving.index.snapshot import IndexSnapshot, open_snapshot
from serving.index.vectors import Matrix


def fill(settings: Settings, spec: EmbeddingSpec, rows: IndexRows, as_of: AsOf, matrix: Matrix) -> None:
    """Put the vectors of `rows`, in their order, into `matrix`: float32 (rows, dim), preallocated, C order.

    `as_of` as it was for `rows`. Raises ContractError when the lake has to be read and a vector there is unusable.
    """
    earlier = _of_same_state(settings, spec, rows, as_of)
    if earlier is None:
        fill_matrix(settings.lake_root, spec.space, rows, matrix)
    else:
        matrix[:] = earlier.matrix()
        get_logger(__name__).info("vectors_taken_over", version=earlier.manifest.version, chunks=len(matrix))


def _of_same_state(settings: Settings, spec: EmbeddingSpec, rows: IndexRows, as_of: AsOf) -> IndexSnapshot | None:
    for version in version_names(settings.index_root):
        folder = settings.index_root / version
        try:
            if _has_state(read_manifest(folder), spec, rows, as_of):
                snapshot = open_snapshot(folder)
                return snapshot if _has_rows(snapshot, rows) else None
        except IndexIncompatibleError as broken:
            get_logger(__name__).warning("earlier_index_broken", what=broken.what, **broken.facts())
    return None


def _has_state(earlier: IndexManifest, spec: EmbeddingSpec, rows: IndexRows, as_of: AsOf) -> bool:
    """Return whether a snapshot was built from the same versions of the same tables, within the same bounds.

    One that was refused is not trusted with its vectors either.
    """
    has_all = rows.newest_write is None or earlier.built_at >= rows.newest_write
    same = (earlier.encoder_hash, earlier.known_by, earlier.tables)
    return (
        as_of.written_by is None
        and not earlier.failed_gates
        and has_all
        and same
        == (
            spec.encoder_hash,
            as_of.known_by,
            sources.tables_read(rows.tables),
        )
    )


def _has_rows(earlier: IndexSnapshot, rows: IndexRows) -> bool:
    names = ["chunk_id", "text_hash"]
    return all(earlier.rows()[name].equals(rows.table[name].combine_chunks()) for name in names)
