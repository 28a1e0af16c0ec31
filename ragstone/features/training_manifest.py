"""What a training set says of itself: enough to pull the same rows again, after the lake was compacted and vacuumed.

Rows are append-only and carry the time they were written, so bounds on both times name a state for good: `known_by` and
`written_by`, and nothing of Delta's own versions, which do not outlive a vacuum.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ragstone.contracts.state import AsOf
from ragstone.features.materialize import features_hash
from ragstone.features.views import views
from ragstone.runtime.errors import BadInputError, ContractError
from ragstone.runtime.settings import Settings

MANIFEST_SUFFIX: Final = ".manifest.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bounds(_Record):
    """What any row may see: `known_by` None leaves that open, `written_by` never is."""

    known_by: datetime | None
    written_by: datetime

    def as_of(self) -> AsOf:
        """Return the bounds as the state rule takes them."""
        return AsOf(known_by=self.known_by, written_by=self.written_by)


class Labels(_Record):
    """The labels: how many, from when to when, and the file they came from, None for labels from memory."""

    rows: int
    first: datetime | None
    last: datetime | None
    columns: tuple[str, ...]
    path: Path | None
    sha256: str | None


class TrainingManifest(_Record):
    """The manifest of one training set.

    `views` names each feature view and the identity of its features. `table_versions` are the Delta versions that were
    read, for whoever looks into the log. `rows_without` counts, by view, the labels of which nothing was known.
    """

    format: Literal[1] = 1
    service: str
    code_version: str
    made_at: datetime
    as_of: Bounds
    created_before_label: bool
    views: dict[str, str]
    table_versions: dict[str, int]
    labels: Labels
    features: tuple[str, ...]
    rows: int
    rows_without: dict[str, int]


def manifest_path(rows: Path) -> Path:
    """Return where the manifest of a set's Parquet file stands."""
    return rows.with_name(rows.name + MANIFEST_SUFFIX)


def read_manifest(path: Path) -> TrainingManifest:
    """Return a manifest, by its own path or by that of its rows. Raises BadInputError."""
    place = path if path.name.endswith(MANIFEST_SUFFIX) else manifest_path(path)
    try:
        return TrainingManifest.model_validate_json(place.read_bytes())
    except (OSError, ValidationError) as unreadable:
        raise BadInputError(
            "the manifest of a training set cannot be read",
            where=str(place),
            got=str(unreadable).splitlines()[0],
            wanted=f"a file that `ragstone training-set` wrote beside its rows, FILE{MANIFEST_SUFFIX}",
        ) from unreadable


def view_hashes(settings: Settings, names: list[str]) -> dict[str, str]:
    """Return the identity of the features of some views, by name."""
    declared = {view.name: view for view in views(settings)}
    return {name: features_hash(declared[name]) for name in names}


def check_views(settings: Settings, manifest: TrainingManifest) -> None:
    """Raise ContractError when a view has other features now than when the set was pulled, or is gone."""
    declared = {view.name: features_hash(view) for view in views(settings)}
    for name, wanted in manifest.views.items():
        if declared.get(name) != wanted:
            raise ContractError(
                "a feature view is not what it was when the set was pulled",
                where=name,
                got=declared.get(name) or "no such view",
                wanted=wanted,
                next_step=f"run Ragstone {manifest.code_version} with that day's feature repository, or pull anew",
            )


def labels_of(manifest: TrainingManifest, given: Path | None) -> Path:
    """Return the file of a set's labels, the recorded one or the given one, after holding its bytes against the hash.

    Raises BadInputError when there is none, or it holds other labels.
    """
    path = given or manifest.labels.path
    if path is None or not path.is_file():
        raise BadInputError(
            "the labels of a training set are not there",
            where=str(path) if path else "the manifest, which names no file: the labels came from memory",
            wanted="the file of the labels",
            next_step="say where they are: --labels FILE",
        )
    if manifest.labels.sha256 not in (None, sha256_of(path)):
        raise BadInputError(
            "the labels are not those of the training set",
            where=str(path),
            got=f"SHA-256 {sha256_of(path)}",
            wanted=f"SHA-256 {manifest.labels.sha256}",
        )
    return path


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
