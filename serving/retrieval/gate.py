"""The online gate: whether a hit of the index may be used, decided at the time of the question.

An index is always older than the lake, and the lake older than the online store; only what is online now decides. A hit
passes when its chunk and document are there, both live, the text is the one that was indexed, and the caller may read
it. Everything here is pure: no clock, no store.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from ragstone.contracts.records import Principal
from ragstone.features.online import ChunkFeatures, DocumentFeatures


class DropReason(StrEnum):
    """Why a hit was dropped. The first that applies, in this order."""

    ABSENT = "absent"
    INACTIVE = "inactive"
    TEXT_CHANGED = "text_changed"
    DOCUMENT_INACTIVE = "document_inactive"
    FORBIDDEN = "forbidden"
    DUPLICATE = "duplicate"


def judge(
    text_hash: str, chunk: ChunkFeatures | None, document: DocumentFeatures | None, principal: Principal
) -> DropReason | None:
    """Return why a hit must be dropped, or None when it passes. `text_hash` is the text's identity in the index."""
    if chunk is None or document is None:
        return DropReason.ABSENT
    if not chunk.active:
        return DropReason.INACTIVE
    if chunk.text_hash != text_hash:
        return DropReason.TEXT_CHANGED
    if not document.active:
        return DropReason.DOCUMENT_INACTIVE
    if not may_read(document.acl, principal):
        return DropReason.FORBIDDEN
    return None


def may_read(acl: Collection[str] | None, principal: Principal) -> bool:
    """Return whether one of the caller's groups is on the list. A missing or empty list, or entry, lets nobody in."""
    return any(group and group in principal.groups for group in acl or ())


def judge_repeat(text_hash: str, passed: Collection[str]) -> DropReason | None:
    """Return DUPLICATE when an equal text has passed before; asked after `judge`, so no forbidden text hides one."""
    return DropReason.DUPLICATE if text_hash in passed else None
