from __future__ import annotations

import math

import pytest

from ragstone.runtime.settings import AbstainSettings
from serving.retrieval.abstain import FEATURES, abstain_features, answer_probability, decide
from tests.serving.retrieval.test_ranking import hit, idf

MODEL = AbstainSettings(intercept=-2.0, coefficients={"cosine": 2.0, "chunk_coverage": 1.0, "sentence_coverage": 3.0})


def test_features_are_the_best_cosine_and_the_best_coverage_by_chunk_and_by_sentence() -> None:
    hits = [hit("A ferry. The post.", 1, 0.8), hit("The tower. How is it? Tall.", 2, 0.7)]
    features = abstain_features("How tall is the tower?", hits, idf)
    # The second chunk has all 8 of the question's weight; its best sentence, the first, has 3.5 of it.
    assert features == pytest.approx({"cosine": 0.8, "chunk_coverage": 1.0, "sentence_coverage": 3.5 / 8})
    assert tuple(features) == FEATURES


def test_the_probability_is_the_logistic_function_of_the_weighted_features() -> None:
    features = {"cosine": 0.8, "chunk_coverage": 1.0, "sentence_coverage": 0.5}
    assert answer_probability(features, MODEL) == pytest.approx(1 / (1 + math.exp(-(-2 + 1.6 + 1 + 1.5))))
    extreme = AbstainSettings(intercept=-1e4)
    assert answer_probability(features, extreme) == 0.0


@pytest.mark.parametrize(("threshold", "answerable"), [(0.89, True), (0.90, False)])
def test_the_threshold_decides(threshold: float, answerable: bool) -> None:
    hits = [hit("How tall is the tower? 40 metres.", 1, 0.1)]
    # The logit is -2 + 0.2 + 1 + 3 = 2.2, the probability 0.9002.
    model = MODEL.model_copy(update={"threshold": threshold + 0.001})
    decision = decide("How tall is the tower?", hits, idf, model)
    assert decision.probability == pytest.approx(0.90025, abs=1e-5)
    assert decision.answerable is answerable


def test_without_a_hit_there_is_no_answer_whatever_the_model_says() -> None:
    decision = decide("How tall?", [], idf, AbstainSettings(intercept=9.0, threshold=0.0))
    assert (decision.answerable, decision.probability) == (False, 0.0)
    assert decision.features == dict.fromkeys(FEATURES, 0.0)


def test_an_unfitted_model_answers_whatever_it_finds() -> None:
    assert decide("ferry", [hit("A tower.", 1, 0.0)], idf, AbstainSettings()).answerable
