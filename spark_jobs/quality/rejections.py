"""Judged rows on their way into quarantine, and out of it when they pass after all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pyspark.sql import DataFrame, Row

from ragstone.contracts.records import Rejection
from ragstone.lake import quarantine
from spark_jobs.quality.deequ import FAILED_RULES, REJECTED
from spark_jobs.quality.rulesets import columns_named


def rejections(step: str, table: str, failing: Sequence[Row]) -> list[Rejection]:
    """Return what quarantine shall know of rows that failed: `failing` are judged rows, with the rules they broke."""
    return [
        Rejection(
            step=step,
            dataset=table,
            item_key=row.item_key,
            document_id=row.document_id,
            content_hash=row.content_hash,
            reason=_reason(table, row),
            failed_rules=tuple(sorted(row[FAILED_RULES])),
            payload_pointer=row.payload_pointer,
        )
        for row in failing
    ]


def passed_entries(root: Path, step: str, table: str, judged: DataFrame) -> list[str]:
    """Return the entries of this step and table whose very version passed this time.

    A version is judged again after a gate stopped its batch, when rules have changed, or when somebody asks for it.
    """
    entries = {
        (entry["item_key"], entry["content_hash"]): entry["entry_id"]
        for entry in quarantine.held_entries(root).to_pylist()
        if (entry["step"], entry["dataset"]) == (step, table)
    }
    if not entries:
        return []
    keys = [item_key for item_key, _ in entries]
    seen = judged.filter(judged.item_key.isin(keys)).select("item_key", "content_hash", REJECTED).collect()
    passed = {(row.item_key, row.content_hash) for row in seen if not row[REJECTED]}
    failed = {(row.item_key, row.content_hash) for row in seen if row[REJECTED]}
    return [entries[version] for version in (passed - failed) & entries.keys()]


def _reason(table: str, row: Row) -> str:
    values = ", ".join(f"{column} = {row[column]}" for column in sorted(columns_named("\n".join(row[FAILED_RULES]))))
    return f"a row of {table} broke {len(row[FAILED_RULES])} of its rules: {values}"
