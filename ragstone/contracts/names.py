"""Names that more than one part uses: entities, views, services, steps, Redis keys."""

from __future__ import annotations

from typing import Final

CHUNK_ENTITY: Final = "chunk"
DOCUMENT_ENTITY: Final = "document"

CHUNK_METADATA_VIEW: Final = "chunk_metadata"
DOCUMENT_ACCESS_VIEW: Final = "document_access"
DOCUMENT_STATS_VIEW: Final = "document_stats"
CHUNK_ENGAGEMENT_VIEW: Final = "chunk_engagement"
DOCUMENT_ENGAGEMENT_VIEW: Final = "document_engagement"

CHAT_SERVICE: Final = "chat_serving_v1"
INDEX_SERVICE: Final = "index_build_v1"
TRAINING_SERVICE: Final = "training_v1"
RERANKER_SERVICE: Final = "reranker_v1"

PUBLIC_GROUP: Final = "public"
ADMIN_GROUP: Final = "admin"

# What the service writes of answers and of judgements; `ragstone events drain` moves both into the event tables.
RETRIEVAL_STREAM: Final = "ragstone:retrievals"
FEEDBACK_STREAM: Final = "ragstone:feedback"

STEPS: Final = ("ingest", "validate", "preprocess", "embed", "materialize", "index")


def embedding_view(space: str) -> str:
    """Return the name of the feature view that serves one embedding space."""
    return f"chunk_embedding_{space}"


def embedding_table(space: str) -> str:
    """Return the name of the silver table that holds one embedding space."""
    return f"silver.embeddings_{space}"
