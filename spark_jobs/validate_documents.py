"""The bronze gate: landed documents are judged after they were landed, and preprocess reads no further than accepted.

What is accepted is a landing batch: the last one whose rows were judged or needed no judging. When the gate fails, the
rows of all later batches stay unread; tombstones and access changes are read all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake import read
from ragstone.lake.delta import table_version
from ragstone.lake.ops import OK, UNCHANGED, accepted_batch
from ragstone.runtime.settings import Settings
from spark_jobs.entrypoint import job_main

STEP: Final = "validate"


@dataclass(frozen=True)
class _Waiting:
    """Bronze rows after the accepted batch, up to landing batch `last`; `content` of them carry a content."""

    after: int
    last: int
    rows: int
    content: int


def run(settings: Settings, run_id: str) -> StepResult:
    """Judge the bronze rows that wait and return the last landing batch that may be read as `watermark`.

    Starts no JVM when no row with a content waits. Raises QualityGateError.
    """
    waiting = _waiting(settings.lake_root)
    rejected, ruleset_hash = _judge(settings, run_id, waiting) if waiting.content else (0, None)
    return StepResult(
        STEP,
        OK if waiting.rows else UNCHANGED,
        unit="document versions",
        accepted=waiting.rows - rejected,
        quarantined=rejected,
        tables_read={BRONZE_DOCUMENTS.name: table_version(settings.lake_root, BRONZE_DOCUMENTS)},
        watermark=waiting.last,
        ruleset_hash=ruleset_hash,
        details={"tombstones": waiting.rows - waiting.content},
    )


def _waiting(root: Path) -> _Waiting:
    after = accepted_batch(root)
    counts = read.query(
        root,
        "SELECT count(*) AS row_count, count(content_hash) AS content_count, max(landing_batch) AS last_batch"
        " FROM bronze WHERE landing_batch > ?",
        (after,),
        bronze=BRONZE_DOCUMENTS,
    ).to_pylist()[0]
    return _Waiting(after, counts["last_batch"] or after, counts["row_count"], counts["content_count"])


def _judge(settings: Settings, run_id: str, waiting: _Waiting) -> tuple[int, str]:
    """Return how many versions were set aside, and the identity of the rules."""
    # Only here, because importing pyspark costs a second that an unchanged run should not pay.
    from spark_jobs import lake
    from spark_jobs.quality.audit import audit_candidates
    from spark_jobs.session import open_session

    spark = open_session(settings)
    bronze = lake.read_table(spark, settings.lake_root, BRONZE_DOCUMENTS)
    versions = bronze.filter(bronze.landing_batch.between(waiting.after + 1, waiting.last)).filter(
        bronze.content_hash.isNotNull()
    )
    outcome = audit_candidates(spark, settings, run_id, STEP, BRONZE_DOCUMENTS, versions)
    return outcome.rejected, outcome.ruleset_hash


def main(argv: Sequence[str]) -> int:
    """Run this step as a command or under spark-submit and return the exit code."""
    return job_main(STEP, run, argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
