"""The index step: build a snapshot beside the served one, judge it, publish it. Nothing changed, nothing written."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ragstone.contracts.identity import embedding_key
from ragstone.contracts.names import INDEX_SERVICE
from ragstone.contracts.records import StepResult
from ragstone.contracts.state import AsOf
from ragstone.embedding.load import embedding_spec
from ragstone.embedding.spec import EmbeddingSpec
from ragstone.lake.vectors import IndexRows, index_documents, index_rows, living_texts
from ragstone.runtime.errors import IndexGateError, IndexIncompatibleError
from ragstone.runtime.logging import get_logger
from ragstone.runtime.settings import Settings
from ragstone.runtime.tracing import span
from serving.index import files, matrix, publish, sources
from serving.index.gates import Candidate, judge_new, refuse
from serving.index.golden import read_golden
from serving.index.lexical import write_lexical
from serving.index.manifest import IndexKind, IndexManifest, file_record, read_manifest, write_manifest
from serving.index.pointer import Pointer, read_pointer
from serving.index.sidecar import write_documents, write_rows
from serving.index.snapshot import open_snapshot
from serving.index.vectors import empty_flat, factory_of, kind_for, matrix_of, quantised, write_vectors

STEP: Final = "index"


def run(settings: Settings, run_id: str) -> StepResult:
    """Bring the served index up to date with the lake: build, judge, publish, prune.

    The unit is living chunks. Does nothing when the served version follows from the same sources, or was rolled back to
    from one that does. Raises IndexGateError when a gate refuses, or has refused an index of the same sources; then the
    served version stays. Raises BadInputError for golden questions that cannot be read.
    """
    with files.exclusively(settings.index_root):
        wanted = sources.present_source(settings)
        served = _served(settings)
        if served is not None and wanted in (served[1].source_hash, served[0].held_back):
            return _unchanged(served[1])
        _refuse_again(settings, wanted)
        built = _left_by_killed_run(settings, wanted) or _build(settings, run_id, None)
        publish.point_to(settings, built.version)
        removed = publish.prune(settings)
    get_logger(__name__).info("index_published", version=built.version, chunks=built.count, removed=len(removed))
    return _published(built)


def build(settings: Settings, run_id: str, known_by: datetime | None = None) -> IndexManifest:
    """Build and judge a snapshot of what was known by a time, or of all, without publishing it.

    Raises IndexGateError when a gate refuses; the snapshot is kept all the same, and says why in its manifest.
    """
    with files.exclusively(settings.index_root):
        return _build(settings, run_id, known_by)


def _build(settings: Settings, run_id: str, known_by: datetime | None) -> IndexManifest:
    version = files.version_name(datetime.now(UTC), known_by)
    folder = settings.index_root / f"{files.BUILDING_PREFIX}{version}"
    publish.remove_leftovers(settings.index_root)
    folder.mkdir()
    try:
        with span("index.build", version=version):
            # A set that cannot be read is told of before anything is built.
            read_golden(settings)
            write_snapshot(settings, folder, version, run_id, AsOf(known_by=known_by))
        with span("index.judge", version=version):
            manifest = judge_new(Candidate(folder, open_snapshot(folder), settings))
        files.flush_to_disk(folder)
        folder.rename(settings.index_root / version)
        files.flush_to_disk(settings.index_root)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if manifest.failed_gates:
        publish.prune(settings)
    refuse(version, manifest.gates)
    return manifest


def write_snapshot(settings: Settings, folder: Path, version: str, run_id: str, as_of: AsOf) -> IndexManifest:
    """Write a snapshot of the lake within bounds into an empty folder, unjudged, and return its manifest.

    Raises IndexGateError when the vectors are of another encoder than the settings'.
    """
    spec, began = embedding_spec(settings), datetime.now(UTC)
    rows = index_rows(settings.lake_root, spec.space, spec.dim, as_of)
    _refuse_other_encoders(rows, spec)
    kind = kind_for(rows.table.num_rows, spec.dim, settings.index.quantised_above)
    flat = empty_flat(rows.table.num_rows, spec.dim)
    matrix.fill(settings, spec, rows, as_of, matrix_of(flat))
    write_vectors(_searchable(settings, flat, kind), folder / files.VECTORS_FILE)
    documents = index_documents(settings.lake_root, rows, as_of)
    write_documents(folder / files.DOCUMENTS_FILE, documents)
    write_rows(folder / files.ROWS_FILE, rows.table, documents)
    texts = living_texts(settings.lake_root, rows, as_of)
    word_count = write_lexical(folder / files.WORDS_FILE, texts, rows.table.num_rows)
    tables = sources.tables_read(rows.tables)
    manifest = IndexManifest(
        version=version,
        run_id=run_id,
        # Not before any row that was read, so that the lake as of then has the same state, whatever the clocks say; and
        # before any that was written meanwhile.
        built_at=as_of.written_by or max(filter(None, (began, rows.newest_write))),
        known_by=as_of.known_by,
        kind=kind,
        factory=factory_of(kind, spec.dim),
        dim=spec.dim,
        count=rows.table.num_rows,
        document_count=documents.num_rows,
        word_count=word_count,
        space=spec.space,
        model_id=spec.model_id,
        model_hash=spec.model_hash,
        encoder_hash=spec.encoder_hash,
        chunker_hashes=tuple(sorted(rows.table["chunker_hash"].unique().to_pylist())),
        service=INDEX_SERVICE,
        views=sources.view_versions(settings),
        tables=tables,
        left_out=dict(rows.left_out),
        abstain=settings.abstain,
        source_hash=sources.source_hash(settings, tables, spec.encoder_hash, as_of.known_by),
        files={name: file_record(folder / name) for name in files.DATA_FILES},
    )
    write_manifest(folder, manifest)
    return manifest


def _searchable(settings: Settings, flat: Any, kind: IndexKind) -> Any:
    return quantised(flat, settings.index.rerank_factor) if kind == "quantised" else flat


def _refuse_other_encoders(rows: IndexRows, spec: EmbeddingSpec) -> None:
    """Refuse vectors of another model, configuration or precision: the question's vector would not fit them."""
    pairs = zip(rows.table["text_hash"].to_pylist(), rows.table["embedding_key"].to_pylist(), strict=True)
    foreign = sum(embedding_key(text, spec.encoder_hash) != key for text, key in pairs)
    if foreign:
        raise IndexGateError(
            "an embedding space holds vectors of another encoder",
            failed_checks=("one_encoder",),
            where=f"space {spec.space}",
            got=f"{foreign} of {rows.table.num_rows} living vectors",
            wanted=f"encoder {spec.encoder_hash} alone",
            next_step="ragstone embed; a different model or precision needs a space of its own (embedding.space)",
        )


def _served(settings: Settings) -> tuple[Pointer, IndexManifest] | None:
    """Return what is served, or None when nothing is, or when it is broken and must be built anew."""
    try:
        pointer = read_pointer(settings.index_root)
        if pointer is None:
            return None
        return pointer, open_snapshot(settings.index_root / pointer.version, pointer.manifest_sha256).manifest
    except IndexIncompatibleError as broken:
        get_logger(__name__).warning("served_index_broken", what=broken.what, **broken.facts())
        return None


def _refuse_again(settings: Settings, source: str) -> None:
    """Raise IndexGateError when a kept version follows from these sources and was refused: it is not built again."""
    for version in publish.version_names(settings.index_root):
        try:
            manifest = read_manifest(settings.index_root / version)
        except IndexIncompatibleError:
            continue
        if manifest.source_hash == source:
            refuse(version, manifest.gates)


def _left_by_killed_run(settings: Settings, source: str) -> IndexManifest | None:
    """Return a version that follows from these sources and passes its gates, built but never published."""
    for version in publish.version_names(settings.index_root):
        try:
            if read_manifest(settings.index_root / version).source_hash == source:
                return publish.judged_again(settings, version)
        except (IndexIncompatibleError, IndexGateError) as broken:
            get_logger(__name__).warning("built_index_broken", what=broken.what, **broken.facts())
    return None


def _unchanged(served: IndexManifest) -> StepResult:
    return StepResult(STEP, "unchanged", "chunks", unchanged=served.count, details={"version": served.version})


def _published(published: IndexManifest) -> StepResult:
    return StepResult(
        STEP,
        "ok",
        "chunks",
        accepted=published.count,
        tables_read={name: table.version for name, table in published.tables.items()},
        details={"version": published.version, "kind": published.kind, "left_out": published.left_out},
    )
