"""What changed from one training set to another: labels by their keys and times, features by their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from ragstone.features.training_manifest import TrainingManifest, read_manifest
from ragstone.runtime.errors import UsageError


@dataclass(frozen=True)
class FeatureChange:
    """A feature that differs in `rows` of the labels both sets have; `row` is the first of them in the newer set."""

    feature: str
    rows: int
    row: int
    before: Any
    after: Any


@dataclass(frozen=True)
class TrainingSetDiff:
    """Two sets compared. A label is told by all its columns; one that comes twice counts twice.

    `manifest` names what the manifests say differently, as (before, after).
    """

    labels_kept: int
    labels_added: int
    labels_removed: int
    features_added: tuple[str, ...]
    features_removed: tuple[str, ...]
    changes: tuple[FeatureChange, ...]
    manifest: Mapping[str, tuple[Any, Any]]

    @property
    def equal(self) -> bool:
        """Return whether both sets have the same labels, features and values, whatever their manifests say."""
        return not (
            self.labels_added or self.labels_removed or self.features_added or self.features_removed or self.changes
        )


def diff(before: Path, after: Path) -> TrainingSetDiff:
    """Compare two sets by their Parquet files, each with its manifest beside it.

    Raises BadInputError without a manifest, UsageError when the labels have different columns.
    """
    old, new = read_manifest(before), read_manifest(after)
    if old.labels.columns != new.labels.columns:
        raise UsageError(
            "the labels of two training sets cannot be compared",
            where=str(after),
            got=list(new.labels.columns),
            wanted=f"the columns of {before}: {list(old.labels.columns)}",
        )
    left, right = (_rows(path, old.labels.columns) for path in (before, after))
    kept = right.index.intersection(left.index, sort=False)
    shared = [name for name in new.features if name in old.features]
    return TrainingSetDiff(
        labels_kept=len(kept),
        labels_added=len(right) - len(kept),
        labels_removed=len(left) - len(kept),
        features_added=tuple(name for name in new.features if name not in old.features),
        features_removed=tuple(name for name in old.features if name not in new.features),
        changes=tuple(_changes(left.loc[kept], right.loc[kept], shared)),
        manifest=_manifest_changes(old, new),
    )


def _rows(path: Path, labels: Sequence[str]) -> pd.DataFrame:
    """Return a set indexed by its label columns and, for labels that are equal, which of them it is."""
    rows: pd.DataFrame = pq.read_table(path).to_pandas(types_mapper=pd.ArrowDtype)
    rows["row"] = range(len(rows))
    keys = [rows[name].map(repr) for name in labels]
    rows.index = pd.MultiIndex.from_arrays([*keys, rows.groupby(keys, sort=False).cumcount()])
    return rows


def _changes(left: pd.DataFrame, right: pd.DataFrame, features: Sequence[str]) -> list[FeatureChange]:
    changes = []
    for name in features:
        differs = (left[name].map(_comparable).to_numpy() != right[name].map(_comparable).to_numpy()).nonzero()[0]
        if len(differs):
            first = int(differs[0])
            row = int(right["row"].iloc[first])
            changes.append(FeatureChange(name, len(differs), row, left[name].iloc[first], right[name].iloc[first]))
    return changes


def _comparable(value: Any) -> str | bytes:
    """Return a value's identity, for a feature may be a list, and a null equals a null."""
    return value.tobytes() if isinstance(value, np.ndarray) else repr(value)


def _manifest_changes(old: TrainingManifest, new: TrainingManifest) -> dict[str, tuple[Any, Any]]:
    before, after = old.model_dump(mode="json"), new.model_dump(mode="json")
    return {name: (before[name], after[name]) for name in before if before[name] != after[name] and name != "made_at"}
