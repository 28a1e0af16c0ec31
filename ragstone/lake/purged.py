"""Whether a document was purged: its rows of bronze say so, and nothing else of it is left."""

from __future__ import annotations

from pathlib import Path

from ragstone.contracts.tables import BRONZE_DOCUMENTS
from ragstone.lake.purge_landing import purged_uri
from ragstone.lake.read import query


def is_purged(root: Path, document_id: str) -> bool:
    """Return whether the document's content was taken out of the lake for good."""
    sql = "SELECT count(*) AS rows FROM bronze WHERE document_id = ? AND source_uri = ?"
    return bool(query(root, sql, (document_id, purged_uri(document_id)), bronze=BRONZE_DOCUMENTS)["rows"][0].as_py())
