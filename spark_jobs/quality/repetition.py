"""What repeats itself in a batch of chunks: near duplicates by MinHash, and lines that stand in several documents.

All of it is told by Spark's own expressions: no worker is started, and the rows are shuffled twice.
"""

from __future__ import annotations

from typing import Any, Final

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as sql

# Two chunks whose shingles have Jaccard similarity s share a band with probability 1 - (1 - s^4)^5:
# 0.99 at 0.9, 0.93 at 0.8, 0.28 at 0.5, 0.04 at 0.3.
BANDS: Final = 5
ROWS_PER_BAND: Final = 4
SHINGLE_WORDS: Final = 4
# Of a longer text a quarter of the shingles is looked at, told by their hashes and so the same ones in every text.
LEAST_SHINGLES: Final = 16
# A line of that many documents belongs to none of them: a menu, a footer, a notice.
BOILERPLATE_DOCUMENTS: Final = 3
# Below this a share says little, and what it costs to tell is more than the rest of the audit.
LEAST_ROWS: Final = 20
_SEED: Final = 0x9E3779B97F4A7C15


def repetition(chunks: DataFrame) -> DataFrame | None:
    """Return chunk_id, near_duplicate (1 or 0) and boilerplate_share (of the text's lines, by length) of chunks.

    `near_duplicate` is 1 where another chunk of the batch has nearly the same words in the same order, equal texts
    included. Return None when there are fewer than 20 rows for certain.
    """
    if _at_most(chunks) < LEAST_ROWS:
        return None
    keys = chunks.select("chunk_id", "document_id", sql.explode(sql.concat(_bands(), _lines())).alias("key"))
    same_key = Window.partitionBy("key.kind", "key.hash")
    shared = keys.select(
        "chunk_id",
        "key.kind",
        "key.length",
        (sql.min("chunk_id").over(same_key) != sql.max("chunk_id").over(same_key)).alias("by_chunks"),
        sql.approx_count_distinct("document_id").over(same_key).alias("documents"),
    )
    is_line = sql.col("kind") == "line"
    repeated = is_line & (sql.col("documents") >= BOILERPLATE_DOCUMENTS)
    length = sql.sum(sql.when(is_line, sql.col("length")))
    return shared.groupBy("chunk_id").agg(
        sql.max((~is_line & sql.col("by_chunks")).cast("int")).alias("near_duplicate"),
        (sql.sum(sql.when(repeated, sql.col("length")).otherwise(0)) / length).alias("boilerplate_share"),
    )


def _bands() -> Any:
    """Return the bands of a text's MinHash signature: equal bands in two texts tell that they are nearly equal."""
    # Each is bound to a name by a list of one, for what a lambda names is computed again at each of its turns.
    words = r"filter(split(lower(text), '[^\\p{L}\\p{N}]+'), word -> word <> '')"
    shingles = f"""transform(sequence(0, greatest(size(w) - {SHINGLE_WORDS}, 0)),
        start -> xxhash64(array_join(slice(w, start + 1, {SHINGLE_WORDS}), ' ')))"""
    bands = ", ".join(
        f"named_struct('kind', 'band {band}', 'hash', xxhash64({_minima(band)}), 'length', 0)" for band in range(BANDS)
    )
    fewer = f"transform(array(filter(s, h -> (h & 3) = 0)), f -> if(size(f) < {LEAST_SHINGLES}, s, f))[0]"
    texts = f"transform(transform(array({words}), w -> {shingles}), s -> {fewer})"
    return sql.expr(f"transform({texts}, s -> array({bands}))[0]")


def _minima(band: int) -> str:
    # The hash nearest to a fixed number, in the order of the bits: as good as a hash function of its own, and cheaper.
    numbers = (_signed(_SEED * (band * ROWS_PER_BAND + row + 1)) for row in range(ROWS_PER_BAND))
    return ", ".join(f"array_min(transform(s, h -> h ^ ({number}L)))" for number in numbers)


def _lines() -> Any:
    lines = r"filter(transform(split(text, '\n'), line -> trim(line)), line -> line <> '')"
    return sql.expr(
        f"transform({lines}, line -> named_struct('kind', 'line', 'hash', xxhash64(line), 'length', length(line)))"
    )


def _signed(number: int) -> int:
    number %= 1 << 64
    # The smallest number of all cannot be written in SQL.
    return max(number - (1 << 64) if number >= 1 << 63 else number, -(2**63) + 1)


def _at_most(frame: DataFrame) -> float:
    """Return a bound of the number of rows, infinite when they do not stand in the driver."""
    bound: Any = frame._jdf.queryExecution().optimizedPlan().maxRows()
    return int(bound.get()) if bound.isDefined() else float("inf")
