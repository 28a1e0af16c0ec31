"""What the rules look at: plain numbers derived from candidate rows, because Deequ can judge neither arrays nor texts.

Nothing is decided here. Measured rows are narrow: ids, the derived numbers, and four columns that name the row in
quarantine (item_key, document_id, content_hash, payload_pointer). Texts and vectors stay behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as sql

from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, TableSpec
from ragstone.embedding.load import embedding_spec
from ragstone.runtime.errors import ContractError
from ragstone.runtime.settings import Settings
from spark_jobs.quality.repetition import repetition
from spark_jobs.quality.rulesets import EMBEDDINGS
from spark_jobs.transforms.embeddings import embedding_key

_CONTROL: Final = r"[\x00-\x09\x0b-\x1f\x7f\u200b\ufeff]"
# UTF-8 that was read as Latin-1 or Windows-1252, characters that could not be decoded, glyphs of a font without names.
_MOJIBAKE: Final = (
    r"[\uFFFD\u0080-\u009F\uE000-\uF8FF]|\(cid:\d+\)|[\u00C2\u00C3][\u0080-\u00BF]"
    r"|\u00E2[\u0080\u20AC][\u0080-\u00BF\u0152-\u0178\u02C6-\u02DC\u2013-\u203A\u20AC\u2122]"
)
# How many of a vector's elements are followed from run to run: their means tell of the mean of all.
SAMPLED_ELEMENTS: Final = 32


@dataclass(frozen=True)
class Measurement:
    """How the candidates of one dataset are measured. `key` tells candidate rows apart.

    `measure` takes the candidates, the rows they must refer to (living documents for chunks, living chunks for
    embeddings; documents refer to none) and the settings. `facts` name the numbers that are told of the batch as a
    whole; to the rules they are columns with one value, null where it is not known.
    """

    dataset: str
    key: tuple[str, ...]
    measure: Callable[[DataFrame, DataFrame | None, Settings], DataFrame]
    facts: tuple[str, ...] = ()


def measurement(spec: TableSpec) -> Measurement:
    """Return how the candidates of a table are measured. Raises ContractError for a table without rules."""
    dataset = EMBEDDINGS if spec.name.startswith(f"{EMBEDDINGS}_") else spec.name
    if dataset not in _MEASUREMENTS:
        raise ContractError("no rules were written for this table", got=spec.name, wanted=", ".join(_MEASUREMENTS))
    return _MEASUREMENTS[dataset]


def measure_documents(versions: DataFrame, _parents: DataFrame | None, _settings: Settings) -> DataFrame:
    """Return one measured row per landed version of a document."""
    return versions.select(
        "document_id",
        "source",
        "landing_batch",
        "content_hash",
        "size_bytes",
        "mime_type",
        "landing_uri",
        sql.concat_ws(":", "document_id", "landing_batch").alias("version_key"),
        (sql.unix_timestamp("fetched_at") - sql.unix_timestamp(sql.current_timestamp())).alias("seconds_ahead"),
        sql.col("document_id").alias("item_key"),
        sql.col("landing_uri").alias("payload_pointer"),
    )


def measure_chunks(chunks: DataFrame, documents: DataFrame | None, settings: Settings) -> DataFrame:
    """Return one measured row per chunk; `documents` has a column document_id with every living document.

    `documents` may carry their source and language, which are null otherwise.
    """
    measured = chunks.select(
        "chunk_id",
        "document_id",
        "text_hash",
        "chunker_hash",
        "token_count",
        (sql.length("text") - sql.col("char_end") + sql.col("char_start")).alias("span_error"),
        sql.length(sql.regexp_replace("text", r"\s", "")).alias("visible_length"),
        _length_of("text", _CONTROL).alias("control_count"),
        (_length_of("text", _MOJIBAKE) / sql.length("text")).alias("mojibake_share"),
        sql.col("chunk_id").alias("item_key"),
        sql.col("text_hash").alias("content_hash"),
        sql.format_string("silver.documents/%s[%d:%d]", "document_id", "char_start", "char_end").alias(
            "payload_pointer"
        ),
    )
    return _with_parents(_with_repetition(measured, chunks, settings), documents, "document_id", ("source", "language"))


def measure_embeddings(vectors: DataFrame, chunks: DataFrame | None, settings: Settings) -> DataFrame:
    """Return one measured row per vector; `chunks` has a column chunk_id with every living chunk.

    `vectors` may carry a document_id beside the table's columns, for quarantine to name, and `chunks` a source.
    """
    known = vectors if "document_id" in vectors.columns else vectors.withColumn("document_id", _no_string())
    wanted_key = embedding_key(sql.col("text_hash"), embedding_spec(settings).encoder_hash)
    same_vector = Window.partitionBy("vector_hash")
    measured = known.select(
        "chunk_id",
        "document_id",
        "embedding_key",
        "model_hash",
        "dim",
        sql.size("embedding").alias("vector_dim"),
        sql.expr("size(filter(embedding, x -> x IS NULL OR isnan(x) OR abs(x) = double('inf')))").alias("bad_elements"),
        sql.expr("sqrt(aggregate(embedding, 0D, (s, x) -> s + x * x))").alias("l2_norm"),
        (~sql.col("embedding_key").eqNullSafe(wanted_key)).cast("int").alias("key_error"),
        sql.xxhash64("embedding").alias("vector_hash"),
        sql.slice("embedding", 1, SAMPLED_ELEMENTS).alias("sample"),
        sql.col("chunk_id").alias("item_key"),
        sql.col("embedding_key").alias("content_hash"),
        sql.concat(sql.lit("silver.chunks/"), "chunk_id").alias("payload_pointer"),
    )
    first, last = (pick("embedding_key").over(same_vector) for pick in (sql.min, sql.max))
    with_shared = measured.withColumn("shared_vector", (first != last).cast("int"))
    return _with_parents(with_shared, chunks, "chunk_id", ("source",))


def _with_parents(measured: DataFrame, parents: DataFrame | None, key: str, carried: Sequence[str]) -> DataFrame:
    """Return the rows with what their parents carry, and `orphan`: 1 where no parent has the row's key, else 0."""
    if parents is None:
        raise ContractError("rows cannot be told from orphans", got="no parents", wanted=f"a frame with {key}")
    known = [sql.col(name) if name in parents.columns else _no_string().alias(name) for name in carried]
    living = parents.select(key, *known).dropDuplicates([key]).withColumn("orphan", sql.lit(0))
    return measured.join(living, key, "left").fillna(1, subset=["orphan"])


def _with_repetition(measured: DataFrame, chunks: DataFrame, settings: Settings) -> DataFrame:
    """Return the rows with near_duplicate and boilerplate_share; null where too few are looked at, or none shall be."""
    found = repetition(chunks) if settings.quality.repetition else None
    if found is None:
        return measured.withColumns({"near_duplicate": _no("int"), "boilerplate_share": _no("double")})
    return measured.join(found, "chunk_id", "left")


def _length_of(text: str, pattern: str) -> Column:
    """Return how many characters of a text a pattern covers."""
    return sql.length(text) - sql.length(sql.regexp_replace(text, pattern, ""))


def _no_string() -> Column:
    return _no("string")


def _no(type_: str) -> Column:
    return sql.lit(None).cast(type_)


_MEASUREMENTS: Final = {
    found.dataset: found
    for found in (
        Measurement(BRONZE_DOCUMENTS.name, ("document_id", "landing_batch"), measure_documents),
        Measurement(SILVER_CHUNKS.name, ("chunk_id",), measure_chunks, ("chunks_per_document", "shrunk_share")),
        Measurement(EMBEDDINGS, ("chunk_id",), measure_embeddings, ("mean_drift",)),
    )
}
