"""bronze.documents follows the landing log: one append for all batches that are not in it yet."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake.delta import append_rows
from ragstone.lake.documents import bronze_app_id, bronze_rows
from ragstone.lake.landing import LandingZone
from ragstone.runtime.settings import Settings
from spark_jobs import small_batches


def follow_landing(settings: Settings, numbers: Sequence[int]) -> int:
    """Append the landing batches with these numbers, in ascending order, to bronze and return its version.

    The commit's txnVersion is the last number, so a batch is taken over once whatever dies in between. A few envelopes
    are appended without a JVM. A malformed batch raises, and nothing is appended.
    """
    landing, root = LandingZone(settings.landing_root), settings.lake_root
    transaction = (bronze_app_id(landing), numbers[-1])
    if small_batches.exist(root, BRONZE_DOCUMENTS):
        batches = [batch for batch in landing.read_batches(after=numbers[0] - 1) if batch.number in numbers]
        if sum(len(batch.envelopes) for batch in batches) <= small_batches.MAX_ENVELOPES:
            now = datetime.now(UTC)
            rows = [{**row, "created_timestamp": now} for batch in batches for row in bronze_rows(batch)]
            return append_rows(root, BRONZE_DOCUMENTS, rows, transaction)
    # Only here, because importing pyspark costs a second that a few envelopes should not pay.
    from spark_jobs.landed_batches import append_landed

    return append_landed(settings, [landing.batch_path(number) for number in numbers], transaction)
