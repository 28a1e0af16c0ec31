"""Which chunks were shown with which answer, and what was said of them: the events as relations, in SQL for DuckDB.

An exposure is one chunk that passed the gate for one answer. The newest judgement of an answer counts, as a whole.
"""

from __future__ import annotations

from typing import Final

from ragstone.contracts.state import NOW, AsOf

_HITS: Final = '[{"chunk_id": "VARCHAR", "rank": "INTEGER", "score": "DOUBLE", "gate": "VARCHAR"}]'
_CITATIONS: Final = '[{"chunk_id": "VARCHAR"}]'


def exposures_sql(as_of: AsOf = NOW) -> str:
    """Return SQL for one row per exposure, over relations named `retrievals` and `feedback`.

    Columns: answer_id, question, asked_at, chunk_id, rank (from 1), score (cosine), cited, thumbs (-1, 0, 1; null
    without a judgement), chosen, judged_at (null without one). `as_of` bounds answers and judgements alike.
    """
    return f"""
        SELECT answer_id, question, asked_at, chunk_id, rank, score, cited.chunk_id IS NOT NULL AS cited,
               thumbs, coalesce(chosen_chunk_id = chunk_id, FALSE) AS chosen, judged_at
        FROM (
            SELECT answer_id, question, asked_at, hit.chunk_id AS chunk_id, hit.rank AS rank, hit.score AS score FROM (
                SELECT answer_id, question, event_timestamp AS asked_at, unnest(from_json(hits, '{_HITS}')) AS hit
                FROM retrievals WHERE {as_of.condition()}
            ) WHERE hit.gate = 'passed'
        ) shown
        LEFT JOIN (
            SELECT DISTINCT answer_id, citation.chunk_id AS chunk_id FROM (
                SELECT answer_id, unnest(from_json(citations, '{_CITATIONS}')) AS citation
                FROM retrievals WHERE {as_of.condition()}
            )
        ) cited USING (answer_id, chunk_id)
        LEFT JOIN (
            SELECT answer_id, score AS thumbs, chunk_id AS chosen_chunk_id, event_timestamp AS judged_at
            FROM feedback WHERE {as_of.condition()}
            QUALIFY row_number() OVER (
                PARTITION BY answer_id ORDER BY event_timestamp DESC, created_timestamp DESC, feedback_id DESC
            ) = 1
        ) judged USING (answer_id)"""
