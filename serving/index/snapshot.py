"""An index snapshot as its readers hold it: immutable, checked against its manifest, mapped into memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ragstone.runtime.errors import IndexIncompatibleError, NotFoundError
from ragstone.runtime.settings import Settings
from serving.index.files import DOCUMENTS_FILE, MANIFEST_FILE, ROWS_FILE, VECTORS_FILE, WORDS_FILE, sha256_of
from serving.index.lexical import LexicalIndex, open_lexical
from serving.index.manifest import IndexManifest, read_manifest
from serving.index.pointer import read_pointer
from serving.index.sidecar import ID_COLUMNS, id_arrays, open_documents, open_rows, readable_documents
from serving.index.vectors import Matrix, matrix_of, open_vectors, search_vectors

# One for each set of groups that asked lately; a mask has a byte for every row.
_REMEMBERED_MASKS: Final = 16
_NEXT_STEP: Final = "ragstone index rollback, or ragstone index build"


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One vector of an index: whose it is, and the text it stood for at build time."""

    chunk_id: str
    document_id: str
    text_hash: str


@dataclass(frozen=True, slots=True)
class IndexHit(IndexRow):
    """One vector found; `score` is its inner product with the question's: higher is better."""

    score: float


class IndexSnapshot:
    """One index version. Safe to search from many threads; holds no lock and changes nothing."""

    def __init__(
        self,
        manifest: IndexManifest,
        vectors: Any,
        rows: pa.RecordBatch,
        documents: pa.RecordBatch,
        lexical: LexicalIndex,
    ) -> None:
        self.manifest = manifest
        self._vectors = vectors
        self._rows = rows
        self._documents = documents
        self._document_rows: npt.NDArray[np.int32] = rows["document_row"].to_numpy()
        self._ids = id_arrays(rows)
        self.readable_rows = lru_cache(_REMEMBERED_MASKS)(self._readable_rows)
        self._lexical = lexical

    def search(
        self, vector: npt.NDArray[np.float32], k: int, allowed: npt.NDArray[np.bool_] | None = None
    ) -> list[IndexHit]:
        """Return at most k hits for a question's vector, float32 (dim,): scores fall, ties by chunk_id.

        `allowed`, bool (count,), names the rows to search, None all. Fewer than k come back when there are no more.
        """
        return self._hits(*search_vectors(self._vectors, vector, k, allowed))

    def search_words(self, question: str, k: int) -> list[IndexHit]:
        """Return at most k hits that share a word with a question, by their BM25 score: it falls, ties by chunk_id."""
        return self._hits(*self._lexical.search(question, k))

    def rows_of(self, chunk_ids: Sequence[str]) -> list[IndexRow]:
        """Return the rows of the chunks that the index has, ordered by chunk_id; others are left out."""
        known = pc.is_in(self._rows["chunk_id"], pa.array(chunk_ids, pa.string()))
        return [IndexRow(**row) for row in self._rows.select(ID_COLUMNS).filter(known).to_pylist()]

    def rows_having(self, word: str) -> npt.NDArray[np.int32]:
        """Return the ordinals of the rows whose text has a word, rising: int32 (rows,)."""
        return self._lexical.rows_having(word)

    def idf(self, word: str) -> float:
        """Return how much a word tells: ln(1 + (n - m + 0.5) / (m + 0.5)) when m of n chunks have it."""
        having = len(self._lexical.rows_having(word))
        return math.log1p((self.manifest.count - having + 0.5) / (having + 0.5))

    def matrix(self) -> Matrix:
        """Return the exact vectors as float32 (count, dim), read-only, in the order of `rows`."""
        matrix = matrix_of(self._vectors)
        matrix.flags.writeable = False
        return matrix

    def rows(self) -> pa.RecordBatch:
        """Return chunk_id, document_id, text_hash and document_row of every vector, ordered by chunk_id."""
        return self._rows

    def documents(self) -> pa.RecordBatch:
        """Return what is known of each document, ordered by document_id; `document_row` of a row points into it."""
        return self._documents

    def _readable_rows(self, groups: frozenset[str]) -> npt.NDArray[np.bool_] | None:
        """Return which rows one of the groups could read at build time, bool (count,); None when all of them.

        A list that was widened since counts from the next publish on; the gate sees to one that was narrowed.
        """
        readable = readable_documents(self._documents, groups)
        return None if readable.all() else readable[self._document_rows]

    def _hits(self, scores: list[float], ordinals: npt.NDArray[np.int64]) -> list[IndexHit]:
        ids = ([name.decode() for name in column[ordinals].tolist()] for column in self._ids)
        return [IndexHit(*row) for row in zip(*ids, scores, strict=True)]


def open_current(settings: Settings) -> IndexSnapshot:
    """Return the published snapshot. Raises NotFoundError, or IndexIncompatibleError when it is broken."""
    pointer = read_pointer(settings.index_root)
    if pointer is None:
        raise NotFoundError(
            "no index has been published",
            where=str(settings.index_root),
            wanted="a published index",
            next_step="ragstone run",
        )
    return open_snapshot(settings.index_root / pointer.version, pointer.manifest_sha256)


def open_snapshot(folder: Path, manifest_sha256: str | None = None) -> IndexSnapshot:
    """Return a snapshot after checking every file against the manifest, and the manifest against `manifest_sha256`.

    Raises IndexIncompatibleError, naming the file, what was got and what was wanted.
    """
    manifest = read_manifest(folder)
    if manifest_sha256 is not None:
        _check_sum(folder / MANIFEST_FILE, manifest_sha256)
    for name, record in manifest.files.items():
        _check_sum(folder / name, record.sha256)
    try:
        vectors = open_vectors(folder / VECTORS_FILE)
        rows, documents = open_rows(folder / ROWS_FILE), open_documents(folder / DOCUMENTS_FILE)
        lexical = open_lexical(folder / WORDS_FILE, manifest.count)
        got = (vectors.ntotal, vectors.d, rows.num_rows, documents.num_rows, lexical.word_count)
        _check_shape(folder, manifest, got)
        return IndexSnapshot(manifest, vectors, rows, documents, lexical)
    except (RuntimeError, OSError, pa.ArrowInvalid) as unreadable:
        raise _broken(folder, str(unreadable).splitlines()[0], "the files its manifest names") from unreadable


def _check_sum(path: Path, wanted: str) -> None:
    got = sha256_of(path) if path.is_file() else "no such file"
    if got != wanted:
        raise _broken(path, f"SHA-256 {got}", f"SHA-256 {wanted}")


def _check_shape(folder: Path, manifest: IndexManifest, got: tuple[int, ...]) -> None:
    wanted = (manifest.count, manifest.dim, manifest.count, manifest.document_count, manifest.word_count)
    if got != wanted:
        raise _broken(folder, f"(vectors, dim, rows, documents, words) = {got}", f"{wanted}, as the manifest says")


def _broken(where: Path, got: str, wanted: str) -> IndexIncompatibleError:
    return IndexIncompatibleError(
        "an index is not as its manifest says", where=str(where), got=got, wanted=wanted, next_step=_NEXT_STEP
    )
