"""What features are features of: a chunk, a document."""

from __future__ import annotations

from typing import Final

from feast import Entity, ValueType

from ragstone.contracts.names import CHUNK_ENTITY, DOCUMENT_ENTITY

CHUNK: Final = Entity(
    name=CHUNK_ENTITY,
    join_keys=["chunk_id"],
    value_type=ValueType.STRING,
    description="A contiguous span of a document's text",
)
DOCUMENT: Final = Entity(
    name=DOCUMENT_ENTITY,
    join_keys=["document_id"],
    value_type=ValueType.STRING,
    description="One source item",
)
ENTITIES: Final = {CHUNK.name: CHUNK, DOCUMENT.name: DOCUMENT}
