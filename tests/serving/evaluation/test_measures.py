from __future__ import annotations

import math

import pytest

from serving.evaluation.measures import ndcg, recall, reciprocal_rank

RANKED = ["a", "b", "c", "d"]


def test_ndcg_discounts_grades_by_rank_against_the_best_order() -> None:
    gained = 1 / math.log2(3) + 2 / math.log2(5)
    ideal = 2 + 1 / math.log2(3)
    assert ndcg(RANKED, {"b": 1, "d": 2}, 10) == pytest.approx(gained / ideal)
    assert ndcg(RANKED, {"a": 1}, 10) == 1.0


def test_ndcg_looks_at_the_first_k_and_its_ideal_holds_no_more_than_k() -> None:
    assert ndcg(RANKED, {"d": 1}, 3) == 0.0
    assert ndcg(["a", "b"], {"a": 1, "b": 1, "z": 1}, 2) == 1.0


def test_the_reciprocal_rank_is_that_of_the_first_judged_document() -> None:
    assert reciprocal_rank(RANKED, {"c": 1, "d": 1}, 10) == pytest.approx(1 / 3)
    assert reciprocal_rank(RANKED, {"d": 1}, 3) == 0.0


def test_recall_is_the_share_of_judged_documents_found() -> None:
    assert recall(RANKED, {"a": 1, "d": 1, "z": 1}, 10) == pytest.approx(2 / 3)
    assert recall(RANKED, {"a": 1, "d": 1}, 2) == 0.5


def test_without_judgements_every_measure_is_zero() -> None:
    assert (ndcg(RANKED, {}, 10), reciprocal_rank(RANKED, {}, 10), recall(RANKED, {}, 10)) == (0, 0, 0)
