import math

import numpy as np
import pyarrow as pa
import pytest

from serving.index.lexical import open_lexical, write_lexical

TEXTS = [(0, "The ferry leaves at nine. The ferry!"), (1, "A train leaves at ten"), (2, "Nothing here"), (3, "...")]
LENGTHS = [7, 5, 2, 0]
K1, B = 1.5, 0.75


@pytest.fixture
def lexical(tmp_path):
    write_lexical(tmp_path / "words.arrow", TEXTS, len(TEXTS))
    return open_lexical(tmp_path / "words.arrow", len(TEXTS))


def bm25(count, length, having):
    """Lucene's formula: idf x count / (count + k1 x (1 - b + b x length / mean length))."""
    idf = math.log(1 + (len(TEXTS) - having + 0.5) / (having + 0.5))
    return idf * count / (count + K1 * (1 - B + B * length / np.mean(LENGTHS)))


def test_scores_are_those_of_the_formula_worked_out_by_hand(lexical):
    wanted = [bm25(2, 7, having=1) + bm25(1, 7, having=2), bm25(1, 5, having=2), 0, 0]
    np.testing.assert_allclose(lexical.scores("ferry leaves"), wanted, rtol=1e-6)


def test_a_word_counts_once_however_often_and_in_whatever_case_it_is_asked(lexical):
    np.testing.assert_array_equal(lexical.scores("FERRY ferry leaves"), lexical.scores("ferry leaves"))


def test_rows_come_best_first_and_only_those_that_share_a_word(lexical):
    scores, rows = lexical.search("when does the ferry leave, or leaves a train?", 4)
    assert rows.tolist() == [0, 1]
    assert scores == sorted(scores, reverse=True)


def test_equal_scores_come_in_the_order_of_rows_also_where_k_cuts_them(tmp_path):
    write_lexical(tmp_path / "w", [(row, "same words") for row in range(5)], 5)
    assert open_lexical(tmp_path / "w", 5).search("same", 3)[1].tolist() == [0, 1, 2]


def test_words_that_no_row_has_find_nothing(lexical):
    assert lexical.search("zeppelin", 3)[0] == []
    assert lexical.rows_having("zeppelin").tolist() == []


def test_the_rows_of_a_word_are_known(lexical):
    assert lexical.rows_having("leaves").tolist() == [0, 1]
    assert lexical.word_count == len({"the", "ferry", "leaves", "at", "nine", "a", "train", "ten", "nothing", "here"})


def test_the_same_rows_in_another_order_give_the_same_bytes(tmp_path):
    for name, texts in (("one", TEXTS), ("other", TEXTS[::-1])):
        write_lexical(tmp_path / name, texts, len(TEXTS))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_an_index_of_no_row_finds_nothing(tmp_path):
    assert write_lexical(tmp_path / "w", [], 0) == 0
    assert open_lexical(tmp_path / "w", 0).search("ferry", 3)[0] == []


def test_a_file_of_other_columns_is_refused(tmp_path):
    from serving.index.arrow_file import write_table

    write_table(tmp_path / "w", pa.table({"word": ["ferry"]}))
    with pytest.raises(pa.ArrowInvalid, match="has columns"):
        open_lexical(tmp_path / "w", 1)
