"""Keys of labels that the lake has never seen: mistyped, of another lake, or from before a purge."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ragstone.features.labels import refuse_rows
from ragstone.features.views import views
from ragstone.lake import read
from ragstone.lake.files import files_sql
from ragstone.runtime.settings import Settings


def entity_keys(settings: Settings, labels: pa.Table) -> list[str]:
    """Return the columns of labels that name an entity of some view, in the labels' order."""
    known = {view.join_key for view in views(settings)}
    return [name for name in labels.column_names if name in known]


def refuse_unknown(settings: Settings, labels: pa.Table) -> None:
    """Raise UsageError for labels with a key that stands in no row of any view's table, tombstones included."""
    for key in entity_keys(settings, labels):
        wanted = f"a {key} that the lake has seen; keep_unknown=True keeps such labels, with nulls"
        refuse_rows("entities are unknown", key, labels[key], _unknown(settings, labels, key), wanted=wanted)


def _unknown(settings: Settings, labels: pa.Table, key: str) -> list[int]:
    root = settings.lake_root
    asked = pa.table({"row": np.arange(labels.num_rows), "asked": labels[key].cast(pa.string())})
    tables = [files_sql(root, view.spec) for view in views(settings) if view.join_key == key]
    seen = "".join(f" AND asked NOT IN (SELECT {key} FROM {table})" for table in tables)
    found = read.query(root, f"SELECT row FROM labels WHERE asked IS NOT NULL{seen} ORDER BY row", labels=asked)
    rows: list[int] = found["row"].to_pylist()
    return rows
