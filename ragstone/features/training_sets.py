"""`TrainingSets`: labels from anywhere, judged row by row, joined with the features that were known at their times.

from ragstone.features import TrainingSets
found = TrainingSets(load_settings()).pull("labels.csv")
found.write("set.parquet")
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ragstone.contracts.names import TRAINING_SERVICE
from ragstone.contracts.state import NOW, AsOf
from ragstone.features.known_entities import entity_keys, refuse_unknown
from ragstone.features.label_sources import DATABASE, read_labels
from ragstone.features.labels import check_rows, checked_labels
from ragstone.features.training import TrainingSet, training_set, training_set_again
from ragstone.runtime.settings import Settings

if TYPE_CHECKING:
    from ragstone.features.label_sources import LabelSource


class TrainingSets:
    """The training sets of one home."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def pull(
        self,
        labels: LabelSource,
        service: str = TRAINING_SERVICE,
        as_of: AsOf = NOW,
        *,
        created_before_label: bool = False,
        keep_unknown: bool = False,
        database: str = DATABASE,
    ) -> TrainingSet:
        """Return the features of a service for each label, in the labels' order.

        `labels` and `database` are those of `read_labels`, `as_of` and `created_before_label` those of `training_set`.
        Raises UsageError that names the rows of labels whose time is null, naive or in the future, whose key is null,
        or whose entity the lake has never seen; those with `keep_unknown` are kept, their features null.
        """
        given = read_labels(labels, database)
        keys = entity_keys(self._settings, given)
        checked = checked_labels(given, keys, ())
        check_rows(checked, keys, datetime.now(UTC))
        if not keep_unknown:
            refuse_unknown(self._settings, checked)
        # A Parquet file is named in the manifest, with its hash, so that the set is pulled again without asking for it.
        named = isinstance(labels, Path | str) and Path(labels).suffix == ".parquet" and Path(labels).is_file()
        return training_set(self._settings, labels if named else checked, service, as_of, created_before_label)

    def from_manifest(self, manifest: Path | str, labels: Path | str | None = None) -> TrainingSet:
        """Return the rows of an earlier set, equal to what they were. Arguments and errors of `training_set_again`."""
        return training_set_again(self._settings, manifest, labels)
