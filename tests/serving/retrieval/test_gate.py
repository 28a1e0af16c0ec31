from __future__ import annotations

from dataclasses import replace

import pytest

from ragstone.contracts.records import Principal
from ragstone.features.online import ChunkFeatures, DocumentFeatures
from serving.retrieval.gate import DropReason, judge, judge_repeat, may_read
from tests.factories import DAY_ZERO

CHUNK = ChunkFeatures(
    chunk_id="c", document_id="d", ordinal=0, char_start=0, char_end=4, heading_path="", text="text", token_count=1,
    text_hash="t", active=True, event_timestamp=DAY_ZERO,
)  # fmt: skip
DOCUMENT = DocumentFeatures(
    document_id="d", acl=("staff",), active=True, title=None, source=None, source_uri=None, language=None,
    source_modified_at=None, event_timestamp=DAY_ZERO,
)  # fmt: skip
STAFF = Principal("ann", frozenset({"staff", "public"}))
PUBLIC = Principal("anonymous", frozenset({"public"}))


def test_a_hit_that_is_there_lives_is_unchanged_and_allowed_passes() -> None:
    assert judge("t", CHUNK, DOCUMENT, STAFF) is None


@pytest.mark.parametrize(
    ("chunk", "document", "principal", "reason"),
    [
        (None, DOCUMENT, STAFF, DropReason.ABSENT),
        (CHUNK, None, STAFF, DropReason.ABSENT),
        (replace(CHUNK, active=False), DOCUMENT, STAFF, DropReason.INACTIVE),
        (replace(CHUNK, text_hash="newer"), DOCUMENT, STAFF, DropReason.TEXT_CHANGED),
        (replace(CHUNK, text_hash=None), DOCUMENT, STAFF, DropReason.TEXT_CHANGED),
        (CHUNK, replace(DOCUMENT, active=False), STAFF, DropReason.DOCUMENT_INACTIVE),
        (CHUNK, DOCUMENT, PUBLIC, DropReason.FORBIDDEN),
        (CHUNK, replace(DOCUMENT, acl=()), STAFF, DropReason.FORBIDDEN),
    ],
)
def test_each_way_to_fail_has_its_reason(
    chunk: ChunkFeatures | None, document: DocumentFeatures | None, principal: Principal, reason: DropReason
) -> None:
    assert judge("t", chunk, document, principal) is reason


@pytest.mark.parametrize(
    ("acl", "groups", "allowed"),
    [
        (("a", "b"), {"b"}, True),
        (("a",), {"A"}, False),
        (("a",), set(), False),
        ((), {"a"}, False),
        (None, {"a"}, False),
        (("",), {""}, False),
        (("", "a"), {"", "a"}, True),
    ],
)
def test_only_a_named_group_on_the_list_lets_anybody_in(
    acl: tuple[str, ...] | None, groups: set[str], allowed: bool
) -> None:
    assert may_read(acl, Principal("p", frozenset(groups))) is allowed


def test_only_a_text_that_has_passed_makes_a_repeat() -> None:
    assert judge_repeat("t", {"t"}) is DropReason.DUPLICATE
    assert judge_repeat("t", {"u"}) is None
