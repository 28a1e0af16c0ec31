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

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read
from ragstone.lake.delta import table_version
from ragstone.lake.ops import OK, UNCHANGED, accepted_batch
from ragstone.lake.schema import arrow_schema
from ragstone.runtime.settings import Settings
from spark_jobs import small_batches
from spark_jobs.entrypoint import job_main

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

STEP: Final = "validate"
_UNJUDGED: Final = f"""
    SELECT {", ".join(f"b.{name}" for name in BRONZE_DOCUMENTS.column_names)} FROM bronze b
    WHERE b.landing_batch > $1 AND b.content_hash IS NOT NULL AND NOT (
        b.change IN ('access', 'metadata') AND EXISTS (
            FROM bronze e WHERE e.landing_batch <= $1 AND e.document_id = b.document_id
            AND (e.content_hash, e.size_bytes, e.mime_type, e.landing_uri)
                IS NOT DISTINCT FROM (b.content_hash, b.size_bytes, b.mime_type, b.landing_uri)
        )
    )"""


@dataclass(frozen=True)
class _Waiting:
    """Bronze rows after the accepted batch, up to landing batch `last`; `content` of them carry a content.

    Of those, `unjudged` have to be judged: an access or metadata change repeats a content that was judged before.
    """

    after: int
    last: int
    rows: int
    content: int
    unjudged: int


def run(settings: Settings, run_id: str) -> StepResult:
    """Judge the bronze rows that wait and return the last landing batch that may be read as `watermark`.

    Starts no JVM when no row waits whose content was not judged before. Raises QualityGateError.
    """
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
    after = accepted_batch(root)
    counts = read.query(
        root,
        f"""SELECT count(*) AS row_count, count(content_hash) AS content_count, max(landing_batch) AS last_batch,
            (SELECT count(*) FROM ({_UNJUDGED})) AS unjudged_count
        FROM bronze WHERE landing_batch > $1""",
        (after,),
        bronze=BRONZE_DOCUMENTS,
    ).to_pylist()[0]
    last = counts["last_batch"] or after
    return _Waiting(after, last, counts["row_count"], counts["content_count"], counts["unjudged_count"])


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
        rows = read.query(root, _UNJUDGED, (waiting.after,), bronze=BRONZE_DOCUMENTS)
        return driver_frame(spark, rows.cast(arrow_schema(BRONZE_DOCUMENTS)))
    bronze = lake.read_table(spark, root, BRONZE_DOCUMENTS)
    # Judging a content twice does no harm, and finding out costs more than that.
    return bronze.filter(bronze.landing_batch.between(waiting.after + 1, waiting.last)).filter(
        bronze.content_hash.isNotNull()
    )


def main(argv: Sequence[str]) -> int:
    """Run this step as a command or under spark-submit and return the exit code."""
    return job_main(STEP, run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
