"""What an index follows from: table versions, feature views, encoder and settings, under one hash."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ragstone.contracts.identity import stable_hash
from ragstone.embedding.load import embedding_spec
from ragstone.features.views import ACCESS, CHUNK_METADATA, STATS, chunk_embedding
from ragstone.lake.vectors import TableState, index_tables, table_states
from ragstone.runtime.settings import Settings
from serving.index.manifest import FORMAT, TableRead


def present_source(settings: Settings) -> str:
    """Return the source_hash that an index of everything known, built now, would have."""
    spec = embedding_spec(settings)
    states = table_states(settings.lake_root, index_tables(spec.space, spec.dim))
    return source_hash(settings, tables_read(states), spec.encoder_hash, None)


def source_hash(
    settings: Settings, tables: Mapping[str, TableRead], encoder_hash: str, known_by: datetime | None
) -> str:
    """Return the identity of what an index is built from; indexes of equal sources have equal content."""
    parts: dict[str, Any] = {
        "format": FORMAT,
        "tables": {name: table.model_dump() for name, table in tables.items()},
        "views": view_versions(settings),
        "encoder": encoder_hash,
        "quantised_above": settings.index.quantised_above,
        "rerank_factor": settings.index.rerank_factor,
        "abstain": settings.abstain.model_dump(mode="json"),
        "known_by": known_by.isoformat() if known_by else None,
    }
    return stable_hash("index", json.dumps(parts, sort_keys=True))


def view_versions(settings: Settings) -> dict[str, str]:
    """Return the identity of each feature view the index reads, by name: its entity, key and features."""
    used = (CHUNK_METADATA, chunk_embedding(settings.embedding.space), ACCESS, STATS)
    return {view.name: stable_hash("view", view.entity, view.join_key, *view.features) for view in used}


def tables_read(states: Mapping[str, TableState]) -> dict[str, TableRead]:
    """Return table states as a manifest records them: maintenance of a table is no new source."""
    return {name: TableRead(version=state.content_version, table_id=state.table_id) for name, state in states.items()}
