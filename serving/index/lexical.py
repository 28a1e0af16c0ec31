"""The words of a snapshot: BM25 over the same rows as the vectors, computed once by bm25s, mapped by every reader.

A word's postings hold its share of the score of each row that has it, so a question's score of a row is a sum. The
formula is Lucene's BM25 with k1 = 1.5 and b = 0.75, as bm25s has it (arXiv:2407.03618).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import bm25s
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ragstone.text.words import words
from serving.index.arrow_file import open_batch, write_table

WORD_SCHEMA: Final = pa.schema(
    [
        pa.field("word", pa.string(), nullable=False),
        pa.field(
            "postings",
            pa.large_list(
                pa.field(
                    "item",
                    pa.struct(
                        [
                            pa.field("row", pa.int32(), nullable=False),
                            pa.field("score", pa.float32(), nullable=False),
                        ]
                    ),
                    nullable=False,
                )
            ),
            nullable=False,
        ),
    ]
)


class LexicalIndex:
    """The words of `count` rows. Safe to search from many threads at once; shares its file's pages."""

    def __init__(self, batch: pa.RecordBatch, count: int) -> None:
        postings = batch["postings"]
        self._count = count
        self._ids = {word: place for place, word in enumerate(batch["word"].to_pylist())}
        self._starts: npt.NDArray[np.int64] = postings.offsets.to_numpy()
        self._rows: npt.NDArray[np.int32] = postings.values.field("row").to_numpy()
        self._bm25 = _bm25()
        self._bm25.scores = {
            "data": postings.values.field("score").to_numpy(),
            "indices": self._rows,
            "indptr": self._starts,
            "num_docs": count,
        }
        # Only other variants of BM25 score a word that a row lacks.
        self._bm25.nonoccurrence_array = None

    @property
    def word_count(self) -> int:
        """Return how many words there are."""
        return len(self._ids)

    def rows_having(self, word: str) -> npt.NDArray[np.int32]:
        """Return the rows that have a word, rising: int32 (rows,)."""
        place = self._ids.get(word)
        start, end = (0, 0) if place is None else self._starts[place : place + 2]
        return self._rows[start:end]

    def scores(self, text: str) -> npt.NDArray[np.float32]:
        """Return the BM25 score of every row for the distinct words of a text: float32 (count,), 0 without a match."""
        known = [self._ids[word] for word in dict.fromkeys(words(text)) if word in self._ids]
        if not known:
            return np.zeros(self._count, dtype=np.float32)
        found: npt.NDArray[np.float32] = self._bm25.get_scores_from_ids(known)
        return found

    def search(self, text: str, k: int) -> tuple[list[float], npt.NDArray[np.int64]]:
        """Return scores and row ordinals of at most k rows that share a word with a text: they fall, ties by row."""
        scores = self.scores(text)
        matching = np.flatnonzero(scores)
        if len(matching) > k:
            # All rows that score as the k-th does are kept until ties are broken.
            least = np.partition(scores[matching], -k)[-k]
            matching = matching[scores[matching] >= least]
        best = matching[np.lexsort((matching, -scores[matching]))][:k]
        return scores[best].tolist(), best


def write_lexical(path: Path, texts: Iterable[tuple[int, str]], count: int) -> int:
    """Write the words of `count` rows, given as (row, text) in any order, and return how many words there are.

    Equal rows give equal bytes. Holds four bytes for every word of every text in memory.
    """
    ids: dict[str, int] = {}
    by_row = [np.empty(0, dtype=np.int32)] * count
    for row, text in texts:
        by_row[row] = np.array([ids.setdefault(word, len(ids)) for word in words(text)], dtype=np.int32)
    # Numbers as they came depend on the order of the texts; those of sorted words do not.
    vocabulary = sorted(ids)
    places = np.empty(len(ids), dtype=np.int32)
    places[[ids[word] for word in vocabulary]] = np.arange(len(ids))
    write_table(path, _table(vocabulary, [places[numbers] for numbers in by_row]))
    return len(vocabulary)


def open_lexical(path: Path, count: int) -> LexicalIndex:
    """Map the words of `count` rows. Raises pyarrow.ArrowInvalid or OSError."""
    return LexicalIndex(open_batch(path, WORD_SCHEMA), count)


def _table(vocabulary: Sequence[str], numbered: Sequence[npt.NDArray[np.int32]]) -> pa.Table:
    # bm25s takes the mean length of nothing for a number.
    scores = _bm25().build_index_from_ids(range(len(vocabulary)), numbered, show_progress=False) if vocabulary else None
    rows, shares, starts = ([], [], [0]) if scores is None else (scores["indices"], scores["data"], scores["indptr"])
    pairs = pa.StructArray.from_arrays(
        [pa.array(rows, pa.int32()), pa.array(shares, pa.float32())],
        fields=list(WORD_SCHEMA.field("postings").type.value_type),
    )
    postings = pa.LargeListArray.from_arrays(pa.array(starts, pa.int64()), pairs)
    return pa.table(
        [pa.array(vocabulary, pa.string()), postings.cast(WORD_SCHEMA.field("postings").type)], schema=WORD_SCHEMA
    )


def _bm25() -> Any:
    return bm25s.BM25(method="lucene", k1=1.5, b=0.75)
