"""The bronze gate: landed documents are judged after they were landed, and preprocess reads no further than accepted.

What is accepted is a landing batch: the last one whose rows were judged or needed no judging. When the gate fails, the
rows of all later batches stay unread; tombstones and access changes are read all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import quarantine, read
from ragstone.lake.delta import table_version
from ragstone.lake.ops import OK, UNCHANGED, accepted_batch
from ragstone.lake.quarantine_settling import settle_documents
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.settings import Settings
from spark_jobs import small_batches
from spark_jobs.entrypoint import job_main

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STEP: Final = "validate"
_UNJUDGED: Final = f"""
    SELECT {", ".join(f"b.{name}" for name in BRONZE_DOCUMENTS.column_names)} FROM bronze b
    WHERE b.content_hash IS NOT NULL AND (b.landing_batch > $1 AND NOT (
        b.change IN ('access', 'metadata') AND EXISTS (
            FROM bronze e WHERE e.landing_batch <= $1 AND e.document_id = b.document_id
            AND (e.content_hash, e.size_bytes, e.mime_type, e.landing_uri)
                IS NOT DISTINCT FROM (b.content_hash, b.size_bytes, b.mime_type, b.landing_uri)
        )
    ) OR b.landing_batch <= $1 AND (b.document_id, b.content_hash) IN (FROM retried))"""


@dataclass(frozen=True)
class _Waiting:
    """Bronze rows after the accepted batch, up to landing batch `last`; `content` of them carry a content.

    Of those, `unjudged` have to be judged: an access or metadata change repeats a content that was judged before.
    Rows up to the accepted batch whose entry in quarantine is marked for another look count as waiting too.
    """

    after: int
    last: int
    rows: int
    content: int
    unjudged: int
    retried: pa.Table


def run(settings: Settings, run_id: str) -> StepResult:
    """Judge the bronze rows that wait and return the last landing batch that may be read as `watermark`.

    Starts no JVM when no row waits whose content was not judged before. Raises QualityGateError.
    """
    settle_documents(settings.lake_root, accepted_batch(settings.lake_root), run_id)
    waiting = _waiting(settings.lake_root)
    rejected, ruleset_hash = _judge(settings, run_id, waiting) if waiting.unjudged else (0, None)
    return StepResult(
        STEP,
        OK if waiting.rows else UNCHANGED,
        unit="document versions",
        accepted=waiting.rows - rejected,
        quarantined=rejected,
        tables_read={BRONZE_DOCUMENTS.name: table_version(settings.lake_root, BRONZE_DOCUMENTS)},
        watermark=waiting.last,
        ruleset_hash=ruleset_hash,
        details={"tombstones": waiting.rows - waiting.content, "judged": waiting.unjudged},
    )


def _waiting(root: Path) -> _Waiting:
    after, retried = accepted_batch(root), _retried(root)
    counts = read.query(
        root,
        f"""SELECT count(*) AS row_count, count(content_hash) AS content_count,
            greatest(max(landing_batch), $1) AS last_batch, (SELECT count(*) FROM ({_UNJUDGED})) AS unjudged_count
        FROM bronze WHERE landing_batch > $1
            OR content_hash IS NOT NULL AND (document_id, content_hash) IN (FROM retried)""",
        (after,),
        bronze=BRONZE_DOCUMENTS,
        retried=retried,
    ).to_pylist()[0]
    last = counts["last_batch"] or after
    return _Waiting(after, last, counts["row_count"], counts["content_count"], counts["unjudged_count"], retried)


def _retried(root: Path) -> pa.Table:
    """Return the versions in quarantine that somebody wants judged again."""
    return quarantine.retried_entries(root, STEP).select(["document_id", "content_hash"])


def _judge(settings: Settings, run_id: str, waiting: _Waiting) -> tuple[int, str]:
    """Return how many versions were set aside, and the identity of the rules."""
    # Only here, because importing pyspark costs a second that an unchanged run should not pay.
    from spark_jobs.quality.audit import audit_candidates
    from spark_jobs.session import open_session

    spark = open_session(settings)
    versions = _unjudged_versions(spark, settings.lake_root, waiting)
    outcome = audit_candidates(spark, settings, run_id, STEP, BRONZE_DOCUMENTS, versions)
    return outcome.rejected, outcome.ruleset_hash


def _unjudged_versions(spark: SparkSession, root: Path, waiting: _Waiting) -> DataFrame:
    from spark_jobs import lake
    from spark_jobs.driver_frames import driver_frame

    if waiting.unjudged <= small_batches.MAX_ROWS:
        rows = read.query(root, _UNJUDGED, (waiting.after,), bronze=BRONZE_DOCUMENTS, retried=waiting.retried)
        return driver_frame(spark, rows.cast(arrow_schema(BRONZE_DOCUMENTS)))
    bronze = lake.read_table(spark, root, BRONZE_DOCUMENTS)
    # Judging a content twice does no harm, and finding out costs more than that.
    new = bronze.landing_batch.between(waiting.after + 1, waiting.last)
    versions = bronze.filter(bronze.content_hash.isNotNull())
    if waiting.retried.num_rows == 0:
        return versions.filter(new)
    retried = driver_frame(spark, waiting.retried)
    again = versions.filter(~new).join(retried, ["document_id", "content_hash"], "left_semi")
    return versions.filter(new).unionByName(again)


def main(argv: Sequence[str]) -> int:
    """Run this step as a command or under spark-submit and return the exit code."""
    return job_main(STEP, run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
