"""Training sets as frames; as Arrow they are `TrainingSet.table`, and `TrainingSet.write` makes Parquet of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

if TYPE_CHECKING:
    import polars as pl

    from ragstone.features.training import TrainingSet

# By default pandas makes floats of integers beside a null, and objects of booleans.
_NULLABLE: Final = {pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}


def to_pandas(found: TrainingSet) -> pd.DataFrame:
    """Return a set as a pandas frame, in its order; integers and booleans stay what they are beside nulls."""
    frame: pd.DataFrame = found.table.to_pandas(types_mapper=_NULLABLE.get)
    return frame


def to_polars(found: TrainingSet) -> pl.DataFrame:
    """Return a set as a Polars frame, in its order."""
    import polars as pl

    return pl.DataFrame(found.table)
