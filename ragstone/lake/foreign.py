"""Delta tables that are none of the lake's own, such as labels that another team keeps."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from ragstone.lake.delta import check_protocol
from ragstone.runtime.errors import BadInputError


def is_delta_folder(path: Path) -> bool:
    """Tell whether a folder is a Delta table."""
    return path.is_dir() and DeltaTable.is_deltatable(str(path))


def read_delta_folder(path: Path) -> pa.Table:
    """Return all rows of a Delta table's newest version.

    Raises BadInputError when it cannot be read, ContractError when it uses features that readers outside Spark misread.
    """
    try:
        table = DeltaTable(str(path))
        check_protocol(table, path)
        return table.to_pyarrow_table()
    except (DeltaError, OSError) as broken:
        raise BadInputError(
            "a Delta table cannot be read",
            where=str(path),
            got=str(broken).splitlines()[0],
            wanted="a folder with _delta_log and its data files",
        ) from broken
