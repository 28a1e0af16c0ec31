"""The feature services: each names its features one by one, so that a new column changes none of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from feast import FeatureService, FeatureView

from ragstone.contracts import names

_CHAT_CHUNK: Final = [
    "chunk_document_id",
    "ordinal",
    "char_start",
    "char_end",
    "heading_path",
    "text",
    "token_count",
    "chunk_text_hash",
    "chunk_active",
]
_CHAT_STATS: Final = ["title", "source", "source_uri", "document_language", "source_modified_at"]
_INDEX_CHUNK: Final = ["chunk_document_id", "chunk_text_hash", "chunker_hash", "chunk_active"]
_INDEX_EMBEDDING: Final = ["embedding_key", "embedding_text_hash", "model_hash", "embedding", "embedding_active"]
# No ACL: who may read a text says nothing about its worth.
_TRAINING_CHUNK: Final = ["ordinal", "heading_path", "text", "token_count", "chunk_text_hash", "chunk_active"]
_TRAINING_EMBEDDING: Final = ["embedding_key", "embedding", "embedding_active"]
_TRAINING_STATS: Final = [
    "title",
    "source",
    "document_language",
    "source_modified_at",
    "char_count",
    "chunk_count",
    "document_token_count",
    "change_count",
    "document_stats_active",
]
_RERANKER_CHUNK: Final = ["ordinal", "heading_path", "text", "token_count", "chunk_active"]
_RERANKER_STATS: Final = ["title", "source", "document_language", "chunk_count"]
_COUNTS: Final = ["shown_count", "cited_count", "chosen_count", "thumbs_up_count", "thumbs_down_count"]


def feature_services(views: Sequence[FeatureView], space: str) -> tuple[FeatureService, ...]:
    """Return the services of chat, index building, training and reranking.

    `space` is the one embedding space they name.
    """
    by_name = {view.name: view for view in views}
    chunk, vector = by_name[names.CHUNK_METADATA_VIEW], by_name[names.embedding_view(space)]
    access, stats = by_name[names.DOCUMENT_ACCESS_VIEW], by_name[names.DOCUMENT_STATS_VIEW]
    return (
        FeatureService(
            name=names.CHAT_SERVICE,
            features=[chunk[_CHAT_CHUNK], access[["acl", "document_active"]], stats[_CHAT_STATS]],
            description="What the chat service reads online about every hit before it answers",
        ),
        FeatureService(
            name=names.INDEX_SERVICE,
            features=[chunk[_INDEX_CHUNK], vector[_INDEX_EMBEDDING]],
            description="What an index is built from",
        ),
        FeatureService(
            name=names.TRAINING_SERVICE,
            features=[chunk[_TRAINING_CHUNK], vector[_TRAINING_EMBEDDING], stats[_TRAINING_STATS]],
            description="Features of judged chunks as they were when they were judged",
        ),
        _reranker(by_name),
    )


def _reranker(by_name: Mapping[str, FeatureView]) -> FeatureService:
    chunk, stats = by_name[names.CHUNK_METADATA_VIEW], by_name[names.DOCUMENT_STATS_VIEW]
    chunk_engagement = by_name[names.CHUNK_ENGAGEMENT_VIEW]
    document_engagement = by_name[names.DOCUMENT_ENGAGEMENT_VIEW]
    return FeatureService(
        name=names.RERANKER_SERVICE,
        features=[
            chunk[_RERANKER_CHUNK],
            stats[_RERANKER_STATS],
            chunk_engagement[[f"chunk_{name}" for name in _COUNTS]],
            document_engagement[[f"document_{name}" for name in _COUNTS]],
        ],
        description="What a reranker may know of a chunk that was shown, as it was when it was shown",
    )
