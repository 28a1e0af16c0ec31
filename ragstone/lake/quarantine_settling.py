"""Entries of quarantine that close by themselves: what they are about is gone, or a newer version counts.

Told without a JVM, and only where entries are open.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

import pyarrow.compute as pc

from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, TableSpec
from ragstone.lake import read
from ragstone.lake.quarantine import MENDED, SUPERSEDED, VANISHED, held_entries, open_entries, resolve

# A held version does not count, so a newer one that is held too supersedes nothing.
_DOCUMENTS: Final = f"""
    WITH newest AS (
        SELECT document_id, arg_max(content_hash IS NOT NULL, landing_batch) AS alive FROM bronze GROUP BY document_id
    ), counting AS (
        SELECT document_id, max(landing_batch) AS landing_batch FROM bronze b
        WHERE content_hash IS NOT NULL AND landing_batch <= $1 AND NOT EXISTS (
            FROM held h WHERE h.document_id = b.document_id AND h.content_hash = b.content_hash
        ) GROUP BY document_id
    ), rejected AS (
        SELECT o.entry_id, max(b.landing_batch) AS landing_batch FROM opened o
        JOIN bronze b ON o.dataset = '{BRONZE_DOCUMENTS.name}' AND b.document_id = o.document_id
            AND b.content_hash = o.content_hash GROUP BY o.entry_id
    )
    SELECT o.entry_id, NOT n.alive AS is_gone FROM opened o JOIN newest n USING (document_id)
    LEFT JOIN counting c USING (document_id) LEFT JOIN rejected r USING (entry_id)
    WHERE NOT n.alive OR c.landing_batch > r.landing_batch"""


def settle_documents(root: Path, accepted_batch: int, run_id: str) -> int:
    """Close entries of documents that ended, or that have a newer version which counts; return how many those were.

    Content counts up to landing batch `accepted_batch`. What a source refused is not judged here: its next look tells.
    """
    opened = open_entries(root)
    opened = opened.filter(pc.not_equal(opened["step"], "ingest"))
    if opened.num_rows == 0:
        return 0
    held = held_entries(root).select(["document_id", "content_hash"])
    found = read.query(root, _DOCUMENTS, (accepted_batch,), opened=opened, held=held, bronze=BRONZE_DOCUMENTS)
    gone = {row["entry_id"] for row in found.to_pylist() if row["is_gone"]}
    newer = set(found["entry_id"].to_pylist()) - gone
    return resolve(root, gone, run_id, VANISHED) + resolve(root, newer, run_id, SUPERSEDED)


def settle_read_chunks(
    root: Path, step: str, read_documents: Collection[str], rejected: Collection[str], run_id: str
) -> int:
    """Close the entries of chunks of documents just read, but for chunks that were rejected; return how many.

    Either the chunk passed and is written now, or its document is no longer cut that way.
    """
    told = {
        row["item_key"]: row["entry_id"]
        for row in open_entries(root, step).to_pylist()
        if row["dataset"] == SILVER_CHUNKS.name
        and row["document_id"] in read_documents
        and row["item_key"] not in rejected
    }
    if not told:
        return 0
    names = ", ".join(f"'{key}'" for key in told)
    living = read.state(root, SILVER_CHUNKS, columns=("chunk_id",), where=f"chunk_id IN ({names})")
    written = {told.pop(key) for key in living["chunk_id"].to_pylist()}
    return resolve(root, written, run_id, MENDED) + resolve(root, told.values(), run_id, VANISHED)


def settle_chunks(root: Path, step: str, table: TableSpec, run_id: str) -> int:
    """Close entries of a step and table whose chunk no longer lives, and return how many those were."""
    opened = open_entries(root, step)
    opened = opened.filter(pc.equal(opened["dataset"], table.name)).select(["entry_id", "item_key"])
    if opened.num_rows == 0:
        return 0
    living = read.state(root, SILVER_CHUNKS, columns=("chunk_id",)).select(["chunk_id"])
    gone = read.query(
        root,
        "SELECT entry_id FROM opened WHERE item_key NOT IN (SELECT chunk_id FROM living)",
        opened=opened,
        living=living,
    )
    return resolve(root, gone["entry_id"].to_pylist(), run_id, VANISHED)
