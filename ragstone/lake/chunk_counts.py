"""How many chunks documents give now, beside what they gave before: told from summaries and stats, without a JVM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pyarrow as pa

from ragstone.contracts.state import newest_rows_sql
from ragstone.contracts.tables import DOCUMENT_STATS
from ragstone.lake import read

# A document of fewer chunks may lose most of them by an honest edit.
_LEAST_CHUNKS: Final = 4
_SHRUNK: Final = 0.25
_BEFORE: Final = f"""
    SELECT document_id, chunk_count FROM ({newest_rows_sql(DOCUMENT_STATS, "stats")})
    WHERE active AND document_id IN (SELECT document_id FROM wanted)"""


def chunk_count_facts(root: Path, counts: Mapping[str, int]) -> dict[str, float | None]:
    """Return two facts of a batch of documents, given how many chunks each living one gives now, by document_id.

    `chunks_per_document` is their mean; `shrunk_share` the share, of those that gave four chunks or more before, that
    give less than a quarter of them now. None where there is no such document.
    """
    wanted = pa.table({"document_id": pa.array(counts, pa.string())})
    before = read.query(root, _BEFORE, stats=DOCUMENT_STATS, wanted=wanted).to_pylist() if counts else []
    known = {row["document_id"]: row["chunk_count"] for row in before if (row["chunk_count"] or 0) >= _LEAST_CHUNKS}
    return {
        "chunks_per_document": sum(counts.values()) / len(counts) if counts else None,
        "shrunk_share": shrunk_share(known, counts),
    }


def shrunk_share(before: Mapping[str, int], now: Mapping[str, int]) -> float | None:
    """Return the share of documents that give less than a quarter of the chunks they gave before, None without any."""
    if not before:
        return None
    return sum(now[document_id] < _SHRUNK * count for document_id, count in before.items()) / len(before)
