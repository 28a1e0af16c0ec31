"""The recipe `reranker`: question, the passage that answers it, and the passages that were shown with it and do not.

Positive is the chunk that the judge chose, else every chunk that an answer with thumbs up cites. Hard negatives are the
other chunks that were shown with the same answer. Texts are those of the lake's state when the question was asked; what
was judged, and when, is known from later events, so it is a label and never a feature.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ragstone.contracts.state import NOW, AsOf
from ragstone.contracts.tables import FEEDBACK, RETRIEVALS, SILVER_CHUNKS
from ragstone.features.labels import TIME_COLUMN
from ragstone.features.point_in_time import ViewJoin, join_features
from ragstone.features.training_manifest import MANIFEST_SUFFIX
from ragstone.lake import read
from ragstone.lake.delta import table_version
from ragstone.lake.exposures import exposures_sql
from ragstone.runtime.errors import ContractError

NAME: Final = "reranker"
_TEXT, _TEXT_TIME = "text", "text__event_timestamp"
_TABLES: Final = (RETRIEVALS, FEEDBACK, SILVER_CHUNKS)

_LABELS: Final = """
    SELECT answer_id, question, chunk_id, asked_at AS event_timestamp, judged_at, rank, score, cited,
           CASE WHEN bool_or(chosen) OVER (PARTITION BY answer_id) THEN chosen ELSE cited AND thumbs = 1 END AS relevant
    FROM ({exposures}) WHERE thumbs IS NOT NULL ORDER BY event_timestamp, answer_id, rank"""

# A passage with the positive's own words is no negative, whatever document it stands in.
_GROUPS: Final = """
    WITH positives AS (SELECT * FROM shown WHERE relevant AND text IS NOT NULL),
    negatives AS (SELECT * FROM shown WHERE NOT relevant AND text IS NOT NULL)
    SELECT p.answer_id, p.event_timestamp, p.judged_at, p.question,
           p.chunk_id AS positive_chunk_id, p.text AS positive_text,
           p.rank AS positive_rank, p.score AS positive_score,
           list(n.chunk_id ORDER BY n.rank) AS negative_chunk_ids, list(n.text ORDER BY n.rank) AS negative_texts,
           list(n.rank ORDER BY n.rank) AS negative_ranks, list(n.score ORDER BY n.rank) AS negative_scores
    FROM positives p JOIN negatives n ON n.answer_id = p.answer_id AND n.text <> p.text
    GROUP BY ALL ORDER BY p.event_timestamp, p.answer_id, p.rank"""


@dataclass(frozen=True)
class RecipeSet:
    """The rows of a recipe, and the manifest that tells what they were made of."""

    table: pa.Table
    manifest: Mapping[str, Any]

    def write(self, path: Path) -> Path:
        """Write the rows as Parquet and the manifest beside them, and return the manifest's path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(self.table, path)
        manifest = path.with_name(path.name + MANIFEST_SUFFIX)
        manifest.write_text(json.dumps(self.manifest, indent=2) + "\n", "utf-8")
        return manifest


def reranker_labels(root: Path, as_of: AsOf = NOW) -> pa.Table:
    """Return a label per chunk that was shown with a judged answer: what a feature service can be joined to.

    Columns: answer_id, question, chunk_id, event_timestamp (when it was asked), judged_at, rank (from 1), score
    (cosine), cited, relevant. By time, answer and rank. `as_of` bounds answers and judgements.
    """
    return read.query(root, _LABELS.format(exposures=exposures_sql(as_of)), retrievals=RETRIEVALS, feedback=FEEDBACK)


def reranker_set(root: Path, as_of: AsOf = NOW) -> RecipeSet:
    """Return a row per positive: its question, its text, and the texts of its hard negatives by rank.

    Columns: answer_id, event_timestamp, judged_at, question, positive_chunk_id, positive_text, positive_rank,
    positive_score, and the lists negative_chunk_ids, negative_texts, negative_ranks, negative_scores; by time, answer
    and rank. Left out are answers without a positive or without a negative, and chunks that the lake had no living text
    of when the question was asked; the manifest counts them. Raises ContractError for a text from after its question.
    """
    versions = {spec.name: table_version(root, spec) for spec in _TABLES}
    labels = reranker_labels(root, as_of)
    shown = _with_texts(root, labels, as_of)
    table = read.query(root, _GROUPS, shown=shown)
    return RecipeSet(table, _manifest(labels, shown, table, as_of, versions))


def _with_texts(root: Path, labels: pa.Table, as_of: AsOf) -> pa.Table:
    texts = ViewJoin(SILVER_CHUNKS, "chunk_id", {"text": _TEXT, TIME_COLUMN: _TEXT_TIME})
    # A version that was written after the question was not what was shown, however early it was fetched.
    shown = join_features(root, labels, TIME_COLUMN, [texts], as_of, created_before_label=True)
    later = pc.sum(pc.greater(shown[_TEXT_TIME], shown[TIME_COLUMN])).as_py()
    if later:
        raise ContractError(
            "a training row holds a text from after its question", where=NAME, got=f"{later} rows", wanted="none"
        )
    return shown


def _manifest(
    labels: pa.Table, shown: pa.Table, table: pa.Table, as_of: AsOf, versions: Mapping[str, int]
) -> dict[str, Any]:
    judged = pc.count_distinct(labels["answer_id"]).as_py()
    used = pc.count_distinct(table["answer_id"]).as_py()
    return {
        "recipe": NAME,
        "made_at": datetime.now(UTC).isoformat(),
        "as_of": {name: moment and moment.astimezone(UTC).isoformat() for name, moment in vars(as_of).items()},
        "table_versions": dict(versions),
        "rows": table.num_rows,
        "answers": {"judged": judged, "used": used},
        "chunks_without_text": shown[_TEXT].null_count,
    }
