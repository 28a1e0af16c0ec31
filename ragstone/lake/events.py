"""The step `drain`: what was asked and judged, from the streams of the service into the lake, and what follows from it.

Not a step of the pipeline: whether there are new questions has nothing to do with whether there are new documents.
"""

from __future__ import annotations

from typing import Final

import redis

from ragstone.contracts.names import FEEDBACK_STREAM, RETRIEVAL_STREAM
from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import FEEDBACK, RETRIEVALS
from ragstone.lake.drain import STEP, Drained, drain
from ragstone.lake.engagement import count_engagement
from ragstone.runtime.errors import DependencyUnavailableError
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.redis_stream import RedisStream
from ragstone.runtime.settings import Settings

# The judgements come first: no judgement is drained without its answer, since answers are drained after it.
_STREAMS: Final = ((FEEDBACK, FEEDBACK_STREAM), (RETRIEVALS, RETRIEVAL_STREAM))
# Reading a part of a stream takes longer than a question may.
_DEADLINE_MS: Final = 30_000


def run(settings: Settings, run_id: str) -> StepResult:
    """Move both streams into their tables and bring the engagement tables up to them. Counts entries of both streams.

    An entry stays in its stream for `serving.answer_ttl_s`, while lineage is told from it. Raises
    DependencyUnavailableError when Redis does not answer.
    """
    by_table = _drained(settings, run_id)
    drained = sum(by_table.values(), Drained())
    engagement = count_engagement(settings.lake_root, run_id)
    written = drained.rows + sum(engagement.values())
    return StepResult(
        STEP,
        "ok" if written or drained.rejected else "unchanged",
        "events",
        accepted=drained.rows,
        unchanged=drained.known,
        quarantined=drained.rejected,
        written=written,
        details={"tables": {**{name: done.rows for name, done in by_table.items()}, **engagement}},
    )


def _drained(settings: Settings, run_id: str) -> dict[str, Drained]:
    patient = settings.model_copy(update={"redis": settings.redis.model_copy(update={"deadline_ms": _DEADLINE_MS})})
    keep_s = settings.serving.answer_ttl_s
    try:
        with online_client(patient) as client:
            return {
                spec.name: drain(settings.lake_root, spec, RedisStream(client, name), run_id, keep_s)
                for spec, name in _STREAMS
            }
    except redis.RedisError as failed:
        raise DependencyUnavailableError(
            "the streams of events cannot be drained",
            where="redis",
            got=f"{type(failed).__name__}: {failed}",
            next_step="ragstone doctor; then the same command again, which goes on where it stopped",
        ) from failed
