import pytest

from ragstone.contracts.tables import BRONZE_DOCUMENTS, SILVER_CHUNKS, embeddings
from ragstone.lake.profiles import ColumnProfile, profile
from ragstone.lake.rule_drafts import column_rules, draft
from spark_jobs.quality.dqdl import rules_in
from tests.factories import make_bronze_row, make_chunk_row, make_envelope, make_tombstone, write_rows


@pytest.fixture
def root(settings):
    return settings.lake_root


def columns(found):
    return {column.name: column for column in found.columns}


def test_versions_with_a_content_are_profiled_tombstones_are_not(root):
    envelopes = [make_envelope(f"{at}.md", content=b"x" * at) for at in (10, 20, 30)]
    gone = make_envelope("gone.md", "vanished")
    write_rows(root, BRONZE_DOCUMENTS, [make_bronze_row(envelope, landing_batch=1) for envelope in (*envelopes, gone)])
    found = profile(root, "bronze.documents", BRONZE_DOCUMENTS)
    assert found.rows == 3
    told = columns(found)
    assert told["size_bytes"] == ColumnProfile("size_bytes", 0, 3, 10.0, 30.0, 20.0)
    assert told["mime_type"] == ColumnProfile("mime_type", 0, 1, values=("text/markdown",))
    assert (told["content_hash"].hex_length, told["landing_uri"].hex_length) == (64, None)


def test_what_audits_measure_of_a_text_is_profiled_as_they_measure_it(root):
    write_rows(root, SILVER_CHUNKS, [make_chunk_row(text="a b\n\tc", char_start=0, char_end=6, token_count=None)])
    told = columns(profile(root, "silver.chunks", SILVER_CHUNKS))
    assert told["visible_length"].highest == 3.0
    assert (told["token_count"].missing, told["token_count"].distinct) == (1, 0)


def test_vectors_are_profiled_by_length_and_norm(root):
    spec = embeddings("small", 4)
    row = {**make_tombstone(spec, "a" * 32), "active": True, "embedding": [0.5, 0.5, 0.5, 0.5], "dim": 4}
    write_rows(root, spec, [row])
    told = columns(profile(root, "silver.embeddings", spec))
    assert told["l2_norm"].mean == pytest.approx(1.0, abs=1e-6)
    assert told["vector_dim"].lowest == 4.0


def test_a_table_without_rows_has_a_profile_without_values(root):
    found = profile(root, "silver.chunks", SILVER_CHUNKS)
    assert found.rows == 0
    assert {column.distinct for column in found.columns} == {0}


def test_drafted_rules_say_what_the_values_have_in_common(root):
    texts = [f"{'word ' * at}{at}" for at in range(10, 40)]
    write_rows(root, SILVER_CHUNKS, [make_chunk_row(text=text, token_count=at) for at, text in enumerate(texts, 20)])
    rules = rules_in(draft(profile(root, "silver.chunks", SILVER_CHUNKS)), "draft")
    assert "RowCount > 0" in rules
    assert {'IsComplete "chunk_id"', 'IsUnique "chunk_id"'} <= set(rules)
    assert 'ColumnValues "chunk_id" matches "^[0-9a-f]{32}$"' in rules
    assert {'ColumnValues "token_count" >= 10', 'ColumnValues "token_count" <= 98'} <= set(rules)
    assert '(RowCount < 20) or (Mean "token_count" <= 69)' in rules


@pytest.mark.parametrize(
    ("column", "rules"),
    [
        (ColumnProfile("c", 30, 0), []),
        (ColumnProfile("c", 3, 1, values=("a",)), ['(RowCount < 20) or (Completeness "c" >= 0.81)']),
        (ColumnProfile("c", 0, 2, values=("a/b", "c")), ['IsComplete "c"', 'ColumnValues "c" in ["a/b", "c"]']),
        (ColumnProfile("c", 0, 1, values=('a"',)), ['IsComplete "c"']),
        (ColumnProfile("c", 0, 30, hex_length=8), ['IsComplete "c"', 'IsUnique "c"']),
        (ColumnProfile("c", 0, 1, 384.0, 384.0, 384.0), ['IsComplete "c"', 'ColumnValues "c" in [384]']),
        (ColumnProfile("c", 0, 2, -1.0, 1.0, 0.0), ['IsComplete "c"']),
    ],
)
def test_a_draft_claims_no_more_than_a_column_shows(column, rules):
    assert list(column_rules(column, 30)) == rules
