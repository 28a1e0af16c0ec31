"""The feature views, as tables of the lake: what `feature_repo` declares to Feast and what every part here reads.

Light to import: nothing of Feast is needed to know the views.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from ragstone.contracts import names
from ragstone.contracts.tables import (
    CHUNK_ENGAGEMENT,
    DOCUMENT_ACCESS,
    DOCUMENT_ENGAGEMENT,
    DOCUMENT_STATS,
    SILVER_CHUNKS,
    Column,
    TableSpec,
    embeddings,
)
from ragstone.runtime.settings import Settings

EVENT_TIMESTAMP: Final = "event_timestamp"
CREATED_TIMESTAMP: Final = "created_timestamp"
_NO_FEATURES: Final = (EVENT_TIMESTAMP, CREATED_TIMESTAMP, "run_id")
_EMBEDDINGS_FOLDER: Final = "embeddings_"


@dataclass(frozen=True)
class View:
    """One feature view: its name, its entity, and the silver table whose columns are its features."""

    name: str
    entity: str
    spec: TableSpec

    @property
    def join_key(self) -> str:
        """Return the column that names the entity."""
        return self.spec.keys[0]

    @property
    def columns(self) -> tuple[Column, ...]:
        """Return the table's columns that are features, in the table's order."""
        return tuple(c for c in self.spec.columns if c.name not in (*self.spec.keys, *_NO_FEATURES))

    @property
    def renamed(self) -> dict[str, str]:
        """Return feature names by column name, where they differ."""
        return {column.name: column.feature for column in self.columns if column.feature is not None}

    @property
    def features(self) -> tuple[str, ...]:
        """Return the feature names, in the table's order."""
        return tuple(column.feature or column.name for column in self.columns)


CHUNK_METADATA: Final = View(names.CHUNK_METADATA_VIEW, names.CHUNK_ENTITY, SILVER_CHUNKS)
ACCESS: Final = View(names.DOCUMENT_ACCESS_VIEW, names.DOCUMENT_ENTITY, DOCUMENT_ACCESS)
STATS: Final = View(names.DOCUMENT_STATS_VIEW, names.DOCUMENT_ENTITY, DOCUMENT_STATS)
ENGAGEMENT: Final = (
    View(names.CHUNK_ENGAGEMENT_VIEW, names.CHUNK_ENTITY, CHUNK_ENGAGEMENT),
    View(names.DOCUMENT_ENGAGEMENT_VIEW, names.DOCUMENT_ENTITY, DOCUMENT_ENGAGEMENT),
)


def chunk_embedding(space: str) -> View:
    """Return the view of one embedding space."""
    # A reader needs no constraints, and only they depend on the dimension.
    return View(names.embedding_view(space), names.CHUNK_ENTITY, replace(embeddings(space, dim=0), constraints={}))


def embedding_spaces(settings: Settings) -> tuple[str, ...]:
    """Return the spaces that have a view: the configured one first, then every other one that has a table.

    A space keeps its view until its table is gone, so that an older index can be served while a new space fills.
    """
    configured = settings.embedding.space
    folders = sorted((settings.lake_root / "silver").glob(f"{_EMBEDDINGS_FOLDER}*"))
    others = [folder.name.removeprefix(_EMBEDDINGS_FOLDER) for folder in folders]
    return (configured, *(space for space in others if space != configured))


def views(settings: Settings) -> tuple[View, ...]:
    """Return every feature view of these settings' lake.

    `document_access` comes last: what is written online last has the freshest word on who may read what.
    """
    spaces = tuple(chunk_embedding(space) for space in embedding_spaces(settings))
    return (CHUNK_METADATA, *spaces, STATS, *ENGAGEMENT, ACCESS)
