"""Every table of the lake: its grain, its columns, its keys and what Delta itself must refuse.

Types are spelled as in Spark's DDL; `ragstone.lake` derives Arrow schemas from them, `spark_jobs.lake` Spark schemas
and table properties, and `feature_repo` Feast schemas. Every timestamp is UTC. Every table is append-only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from ragstone.contracts.names import embedding_table

STRING, INT, LONG, DOUBLE, BOOLEAN, TIMESTAMP = "string", "int", "bigint", "double", "boolean", "timestamp"
STRINGS, FLOATS, TEXT_MAP, VERSION_MAP = "array<string>", "array<float>", "map<string,string>", "map<string,bigint>"


@dataclass(frozen=True)
class Column:
    """One column. `feature` is its name as a Feast feature, where that differs from `name`."""

    name: str
    type: str
    doc: str
    nullable: bool = True
    feature: str | None = None


@dataclass(frozen=True)
class TableSpec:
    """The contract of one table.

    `keys` name the thing a row is a version of; the state rule (contracts/state.py) picks one row per key.
    `constraints` are SQL conditions by name, set when the table is created, so that Delta refuses a breach by anyone.
    `statistics_columns` are the only ones Delta keeps minima and maxima of: ids and times, never text that may have to
    be purged.
    """

    name: str
    grain: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    statistics_columns: tuple[str, ...]
    constraints: Mapping[str, str] = field(default_factory=dict)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Return the column names in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def path(self) -> str:
        """Return the table's folder below the lake's root, such as `silver/chunks`."""
        return self.name.replace(".", "/")

    def column(self, name: str) -> Column:
        """Return a column by name. Raises KeyError when there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")


def _required(name: str, type_: str, doc: str) -> Column:
    return Column(name, type_, doc, nullable=False)


def _versioned(active_feature: str) -> tuple[Column, ...]:
    """Return the columns every silver table ends with."""
    return (
        Column("active", BOOLEAN, "false on a tombstone", nullable=False, feature=active_feature),
        _required("event_timestamp", TIMESTAMP, "when Ragstone learned the fact"),
        _required("created_timestamp", TIMESTAMP, "when the row was written; strictly increases per key"),
        _required("run_id", STRING, "the run that wrote the row"),
    )


_TIMES = ("event_timestamp", "created_timestamp")

BRONZE_DOCUMENTS: Final = TableSpec(
    name="bronze.documents",
    grain="one fetched version of one source item, or a change that carries no content",
    keys=("document_id",),
    statistics_columns=("document_id", "source", "fetched_at", "landing_batch"),
    columns=(
        _required("document_id", STRING, "hash of source and source_uri"),
        _required("source", STRING, "name of the source in the settings"),
        _required("source_uri", STRING, "where the item stands at its source"),
        _required("change", STRING, "fetched, access, metadata, vanished, deleted or restored"),
        _required("fetched_at", TIMESTAMP, "when the envelope was landed"),
        Column("content_hash", STRING, "SHA-256 of the bytes; null on a tombstone"),
        Column("size_bytes", LONG, "length of the bytes; null on a tombstone"),
        Column("mime_type", STRING, "kind of the content, told by its bytes and name; null on a tombstone"),
        Column("landing_uri", STRING, "the landing object, relative to the landing zone; null on a tombstone"),
        Column("acl", STRINGS, "groups that may read the document; null on a tombstone"),
        Column("source_metadata", TEXT_MAP, "what the source says of the item; null on a tombstone"),
        Column("source_modified_at", TIMESTAMP, "the source's own date; only ever a feature"),
        Column("source_version", STRING, "what the source calls this version, such as an ETag; null on a tombstone"),
        _required("landing_batch", LONG, "number of the landing batch, which is also the commit's txnVersion"),
        _required("created_timestamp", TIMESTAMP, "when the row was written"),
        _required("run_id", STRING, "the run that landed the item"),
    ),
    constraints={
        "known_change": "change IN ('fetched', 'access', 'metadata', 'vanished', 'deleted', 'restored')",
        "tombstone_or_content": "(change IN ('vanished', 'deleted')) = (content_hash IS NULL)",
    },
)

QUARANTINE: Final = TableSpec(
    name="bronze.quarantine",
    grain="one rejected item or row from any step, or its resolution",
    keys=("entry_id",),
    statistics_columns=("entry_id", "document_id", "recorded_at"),
    columns=(
        _required("entry_id", STRING, "hash of step, item and content: a rerun writes no second entry"),
        _required("step", STRING, "the step that rejected it"),
        _required("dataset", STRING, "the table or source it was on its way into or from"),
        _required("item_key", STRING, "document_id, chunk_id or source_uri of what was rejected"),
        Column("document_id", STRING, "the document it belongs to, where one is known"),
        Column("content_hash", STRING, "the version that was rejected, where one is known"),
        _required("reason", STRING, "one sentence: what, got and wanted"),
        _required("failed_rules", STRINGS, "the rules as written; empty when no rule was involved"),
        Column("payload_pointer", STRING, "where the rejected bytes or rows can be read"),
        _required("recorded_at", TIMESTAMP, "when this row was written"),
        _required("run_id", STRING, "the run that rejected or resolved it"),
        Column("resolved_at", TIMESTAMP, "set only on the resolving row; the newest row per entry_id counts"),
        Column("resolution", STRING, "how it closed: mended, superseded, vanished or dismissed; retry while it waits"),
        Column("resolved_by", STRING, "who asked for it, where a person did"),
        Column("note", STRING, "why, in the words of who dismissed it"),
    ),
)

SILVER_DOCUMENTS: Final = TableSpec(
    name="silver.documents",
    grain="one version of a parsed document, or its tombstone",
    keys=("document_id",),
    statistics_columns=("document_id", *_TIMES),
    columns=(
        _required("document_id", STRING, "hash of source and source_uri"),
        Column("title", STRING, "the document's own title, or its file name"),
        Column("text", STRING, "the normalised text that chunk offsets point into"),
        Column("language", STRING, "ISO 639-1 code, or null when unknown"),
        Column("source", STRING, "name of the source in the settings"),
        Column("source_uri", STRING, "where the item stands at its source"),
        Column("source_modified_at", TIMESTAMP, "the source's own date"),
        Column("content_hash", STRING, "SHA-256 of the bytes the text was parsed from"),
        Column("text_hash", STRING, "identity of the normalised text"),
        Column("parser", STRING, "name of the parser"),
        Column("parser_version", STRING, "version of the parser and of the normalisation"),
        *_versioned("document_text_active"),
    ),
    constraints={"content_when_active": "NOT active OR (text IS NOT NULL AND content_hash IS NOT NULL)"},
)

DOCUMENT_ACCESS: Final = TableSpec(
    name="silver.document_access",
    grain="who may read a document, and whether it lives: one row ends or opens a document",
    keys=("document_id",),
    statistics_columns=("document_id", *_TIMES),
    columns=(
        _required("document_id", STRING, "hash of source and source_uri"),
        Column("acl", STRINGS, "groups that may read the document; null or empty lets nobody in"),
        *_versioned("document_active"),
    ),
)

SILVER_CHUNKS: Final = TableSpec(
    name="silver.chunks",
    grain="one chunk version, or its tombstone",
    keys=("chunk_id",),
    statistics_columns=("chunk_id", "document_id", *_TIMES),
    columns=(
        _required("chunk_id", STRING, "hash of document, chunker, text and occurrence"),
        # Not document_id: as a feature it would collide with the key of the other entity.
        Column("document_id", STRING, "the document the chunk is a span of", feature="chunk_document_id"),
        Column("ordinal", INT, "position in the document, from 0"),
        Column("char_start", INT, "first character in the silver text, in code points"),
        Column("char_end", INT, "one past the last character in the silver text"),
        Column("heading_path", STRING, "headings above the chunk, joined by ' > '; empty at the top"),
        Column("text", STRING, "exactly silver text [char_start, char_end)"),
        Column("token_count", INT, "word pieces of the text, without special tokens"),
        Column("text_hash", STRING, "identity of the text", feature="chunk_text_hash"),
        Column("chunker_hash", STRING, "identity of the chunker and its settings"),
        *_versioned("chunk_active"),
    ),
    constraints={
        "id_is_a_hash": "length(chunk_id) = 32",
        "span_when_active": "NOT active OR (char_end > char_start AND length(text) = char_end - char_start)",
    },
)

DOCUMENT_STATS: Final = TableSpec(
    name="silver.document_stats",
    grain="features of one document version, or its tombstone",
    keys=("document_id",),
    statistics_columns=("document_id", *_TIMES),
    columns=(
        _required("document_id", STRING, "hash of source and source_uri"),
        Column("title", STRING, "the document's title"),
        Column("source", STRING, "name of the source in the settings"),
        Column("source_uri", STRING, "where the item stands at its source"),
        Column("language", STRING, "ISO 639-1 code, or null when unknown", feature="document_language"),
        Column("source_modified_at", TIMESTAMP, "the source's own date"),
        Column("char_count", LONG, "code points of the silver text"),
        Column("chunk_count", INT, "chunks of this version"),
        Column("token_count", LONG, "word pieces over all chunks", feature="document_token_count"),
        Column("change_count", INT, "versions before this one"),
        *_versioned("document_stats_active"),
    ),
)


def _engagement(entity: str, key: str) -> TableSpec:
    """Return the contract of what was made of the answers that showed a chunk or a document, up to event_timestamp."""
    counts = {
        "shown_count": f"answers whose question found the {entity}, past the gate",
        "cited_count": f"answers that cite the {entity}",
        "chosen_count": f"answers whose judge chose the {entity} as answering best",
        "thumbs_up_count": f"answers that cite the {entity} and got thumbs up",
        "thumbs_down_count": f"answers that cite the {entity} and got thumbs down",
    }
    return TableSpec(
        name=f"silver.{entity}_engagement",
        grain=f"how often one {entity} was shown, cited and judged up to a time, or its tombstone",
        keys=(key,),
        statistics_columns=(key, *_TIMES),
        columns=(
            _required(key, STRING, f"the {entity}"),
            *(Column(name, LONG, doc, feature=f"{entity}_{name}") for name, doc in counts.items()),
            *_versioned(f"{entity}_engagement_active"),
        ),
    )


CHUNK_ENGAGEMENT: Final = _engagement("chunk", "chunk_id")
DOCUMENT_ENGAGEMENT: Final = _engagement("document", "document_id")


def embeddings(space: str, dim: int) -> TableSpec:
    """Return the contract of one embedding space's table; its vectors have `dim` elements and length 1."""
    return TableSpec(
        name=embedding_table(space),
        grain="one vector of one chunk in one embedding space, or its tombstone",
        keys=("chunk_id",),
        statistics_columns=("chunk_id", "embedding_key", *_TIMES),
        columns=(
            _required("chunk_id", STRING, "the chunk the vector stands for"),
            Column("embedding_key", STRING, "identity of the vector: text and encoder"),
            Column("text_hash", STRING, "identity of the text that was encoded", feature="embedding_text_hash"),
            Column("model_id", STRING, "name of the model"),
            Column("model_hash", STRING, "SHA-256 of the model's weights"),
            Column("dim", INT, "number of elements"),
            Column("embedding", FLOATS, "float32, L2-normalised"),
            *_versioned("embedding_active"),
        ),
        constraints={
            "vector_when_active": f"NOT active OR (embedding IS NOT NULL AND size(embedding) = {dim} AND dim = {dim})",
            "no_nan_or_null": "NOT active OR forall(embedding, x -> x IS NOT NULL AND NOT isnan(x))",
            "unit_length": "NOT active OR abs(aggregate(embedding, 0D, (s, x) -> s + x * x) - 1) < 0.001",
        },
    )


RETRIEVALS: Final = TableSpec(
    name="events.retrievals",
    grain="one question as it was asked, what was retrieved and what was answered",
    keys=("answer_id",),
    statistics_columns=("answer_id", "session_id", "event_timestamp"),
    columns=(
        _required("answer_id", STRING, "identity of the answer"),
        _required("session_id", STRING, "the conversation it belongs to"),
        _required("principal", STRING, "who asked: the name of the API key, or 'anonymous'"),
        _required("principal_groups", STRINGS, "the groups of who asked"),
        _required("question", STRING, "the question as asked"),
        _required("answer", STRING, "the answer as given"),
        _required("abstained", BOOLEAN, "whether the answer is that there is none"),
        _required("citations", STRING, "JSON list of citations with their spans"),
        _required("hits", STRING, "JSON list of chunk ids with rank, score and gate decision"),
        _required("index_version", STRING, "the index that was searched"),
        _required("online_watermark", STRING, "JSON object: table versions last materialized"),
        _required("prompt_hash", STRING, "identity of the prompt, or of the extractive answerer"),
        _required("settings_hash", STRING, "identity of the settings that shape answers"),
        _required("encoder_hash", STRING, "identity of the function that encoded the question"),
        Column("served_state", STRING, "JSON object: what a replay has to know of the index and the online store"),
        _required("event_timestamp", TIMESTAMP, "when the question was asked"),
        _required("created_timestamp", TIMESTAMP, "when the event was written"),
    ),
)

FEEDBACK: Final = TableSpec(
    name="events.feedback",
    grain="one judgement of one answer; the newest one of an answer counts, as a whole",
    keys=("feedback_id",),
    statistics_columns=("feedback_id", "answer_id", "event_timestamp"),
    columns=(
        _required("feedback_id", STRING, "identity of the judgement"),
        _required("answer_id", STRING, "the answer that was judged"),
        _required("principal", STRING, "who judged"),
        _required("score", INT, "-1 for thumbs down, 1 for thumbs up, 0 for neither"),
        Column("chunk_id", STRING, "the chunk that answers best, of those shown with the answer"),
        Column("corrected_answer", STRING, "what the answer should have been"),
        Column("comment", STRING, "free text"),
        _required("event_timestamp", TIMESTAMP, "when it was judged"),
        _required("created_timestamp", TIMESTAMP, "when the event was written"),
    ),
)

PROMPTS: Final = TableSpec(
    name="ops.prompts",
    grain="one change of what answers are asked for with: from then on this prompt, or no language model",
    keys=("prompt_hash",),
    statistics_columns=("prompt_hash", "event_timestamp"),
    columns=(
        _required("prompt_hash", STRING, "identity of the prompt, or of the extractive answerer"),
        Column("rules", STRING, "what the model is told as its system message; null without a model"),
        Column("message", STRING, "the message with its places for question and passages; null without a model"),
        _required("event_timestamp", TIMESTAMP, "since when"),
    ),
)

RUNS: Final = TableSpec(
    name="ops.runs",
    grain="one run of one step",
    keys=("run_id", "step"),
    statistics_columns=("run_id", "step", "started_at"),
    columns=(
        _required("run_id", STRING, "the run: one identity for all steps of one pipeline run"),
        _required("step", STRING, "the step"),
        _required("status", STRING, "ok, unchanged, blocked or failed"),
        _required("started_at", TIMESTAMP, "when the step began"),
        _required("finished_at", TIMESTAMP, "when the step ended"),
        _required("seconds", DOUBLE, "wall time"),
        _required("unit", STRING, "what the counts count: items, documents, chunks, rows"),
        _required("rows_in", LONG, "accepted + unchanged + quarantined"),
        _required("accepted", LONG, "new or changed and taken"),
        _required("unchanged", LONG, "seen and left as they were"),
        _required("quarantined", LONG, "set aside"),
        _required("written", LONG, "rows appended to the lake, tombstones included"),
        _required("tables_read", VERSION_MAP, "table versions read"),
        _required("tables_written", VERSION_MAP, "table versions written"),
        Column("watermark", LONG, "last landing batch that validate accepted"),
        Column("ruleset_hash", STRING, "identity of the rules that were applied"),
        _required("details", STRING, "JSON object: what else the step wants remembered"),
        Column("error", STRING, "the error of a failed or blocked step"),
    ),
)

QUALITY_RESULTS: Final = TableSpec(
    name="ops.quality_results",
    grain="the outcome of one rule in one run",
    keys=("run_id", "dataset", "rule"),
    statistics_columns=("run_id", "dataset", "recorded_at"),
    columns=(
        _required("run_id", STRING, "the run"),
        _required("dataset", STRING, "the table or candidate rows that were checked"),
        _required("kind", STRING, "gate, row, warn or anomaly"),
        _required("rule", STRING, "the rule as written"),
        _required("outcome", STRING, "passed or failed"),
        _required("failed_rows", LONG, "rows that failed a row rule; 0 for any other"),
        Column("reason", STRING, "what Deequ says of a failed rule, or how far a metric is off"),
        _required("ruleset_hash", STRING, "identity of the ruleset"),
        _required("recorded_at", TIMESTAMP, "when the rule was evaluated"),
    ),
)

QUALITY_METRICS: Final = TableSpec(
    name="ops.quality_metrics",
    grain="one metric of one dataset in one run",
    keys=("run_id", "dataset", "metric"),
    statistics_columns=("run_id", "dataset", "recorded_at"),
    columns=(
        _required("run_id", STRING, "the run"),
        _required("dataset", STRING, "the table or candidate rows that were measured"),
        _required("metric", STRING, "name of the metric, such as Column.text.Completeness"),
        _required("value", DOUBLE, "its value"),
        _required("accepted", BOOLEAN, "whether the run passed its gate: only accepted runs are history"),
        _required("recorded_at", TIMESTAMP, "when it was measured"),
    ),
)

STATIC_TABLES: Final = (
    BRONZE_DOCUMENTS,
    QUARANTINE,
    SILVER_DOCUMENTS,
    DOCUMENT_ACCESS,
    SILVER_CHUNKS,
    DOCUMENT_STATS,
    CHUNK_ENGAGEMENT,
    DOCUMENT_ENGAGEMENT,
    RETRIEVALS,
    FEEDBACK,
    PROMPTS,
    RUNS,
    QUALITY_RESULTS,
    QUALITY_METRICS,
)
