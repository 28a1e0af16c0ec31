from ragstone.contracts import identity


def test_parts_cannot_run_into_each_other():
    assert identity.document_id("a", "b/c") != identity.document_id("a/b", "c")
    assert identity.stable_hash("ab", "c") != identity.stable_hash("a", "bc")
    assert identity.stable_hash(1) != identity.stable_hash("1")


def test_ids_are_pinned():
    # A change here would rename every document, chunk and vector of every lake that exists.
    assert identity.document_id("handbook", "leave.md") == "2e053d75db80317fec8899a580c1631a"
    assert identity.embedding_key("t", "e") == "65831bdc5aa44d916ac16307dce83e89"


def test_a_lone_surrogate_has_an_identity():
    assert identity.text_hash("\ud800") != identity.text_hash("\ud801")


def test_equal_texts_of_one_document_are_told_apart_by_their_occurrence():
    first, second = (identity.chunk_id("d", "c", "t", occurrence) for occurrence in (0, 1))
    assert first != second
