"""Which keys of a table have changed since a version: its change feed, read from the log without a JVM.

Every table here is append-only, so what Delta's own change data feed would say of a range of versions is what their
commits added; no table has to be written twice for it. Commits of maintenance add files but change no row, and are
passed over. Where the log or a file of the range is gone, the feed does not tell, and says so.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ragstone.contracts.tables import TableSpec
from ragstone.lake.commits import files_added_since
from ragstone.lake.delta import table_path, table_version
from ragstone.lake.schema import ARROW_TYPES


def changed_keys(root: Path, spec: TableSpec, since: int) -> pa.Table | None:
    """Return the keys with a row committed after a version, each once, as a table of the key columns.

    A key may be told without having changed, where rows were rewritten; none that has is left out. Returns None when
    the log or the files do not reach back that far, and for a version that the table has not reached.
    """
    if since > table_version(root, spec):
        return None
    added = files_added_since(root, spec, since)
    if added is None:
        return None
    files = [table_path(root, spec) / file.path for file in added]
    schema = pa.schema([pa.field(key, ARROW_TYPES[spec.column(key).type]) for key in spec.keys])
    try:
        parts = [pq.read_table(file, columns=schema.names, partitioning=None).cast(schema) for file in files]
    except FileNotFoundError:
        return None
    return pa.concat_tables([schema.empty_table(), *parts]).group_by(list(spec.keys)).aggregate([])
