import pytest

from serving.generation.citations import Claim, check_markers, cite
from tests.serving.hits import make_hit


def test_a_citation_counts_in_the_document_and_quotes_the_chunk():
    hit = make_hit("One. Two.", char_start=100)

    citation = cite(3, hit, 5, 9)

    assert (citation.marker, citation.quote) == (3, "Two.")
    assert (citation.char_start, citation.char_end) == (105, 109)
    assert citation.url == f"/v1/chunks/{hit.chunk.chunk_id}"


@pytest.mark.parametrize(
    ("text", "kept", "claims", "unknown"),
    [
        ("Blue [1].", "Blue [1].", [(1, "Blue")], ()),
        ("Blue. [2] Red [1].", "Blue. [2] Red [1].", [(2, "Blue."), (1, "Red")], ()),
        ("Blue [1, 2].", "Blue [1] [2].", [(1, "Blue"), (2, "Blue")], ()),
        ("Blue [1][7].", "Blue [1].", [(1, "Blue")], (7,)),
        ("Blue [0].", "Blue.", [], (0,)),
        ("Blue.", "Blue.", [], ()),
        ("a[0] is code [1].", "a is code [1].", [(1, "a is code")], (0,)),
    ],
)
def test_markers_are_kept_where_they_name_a_passage_that_was_packed(text, kept, claims, unknown):
    checked = check_markers(text, {1, 2})

    assert checked.text == kept
    assert checked.claims == tuple(Claim(marker, said) for marker, said in claims)
    assert checked.unknown == unknown
