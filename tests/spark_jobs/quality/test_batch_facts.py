import numpy as np
import pytest

from spark_jobs.quality.batch_facts import mean_drift


def test_drift_is_the_distance_of_the_means_scaled_to_all_elements():
    # Differences 0.3 and 0.4: the squares add up to 0.25, of 2 elements out of 8 that makes 1.
    assert mean_drift((0.0, 0.1), (0.3, 0.5), 8) == pytest.approx(1.0)
    assert mean_drift((0.2, 0.1), (0.2, 0.1), 384) == 0.0


def test_drift_is_not_told_without_two_means_of_the_same_elements():
    assert mean_drift((), (0.1,), 8) is None
    assert mean_drift((0.1,), (0.1, 0.2), 8) is None


def test_the_first_elements_tell_of_the_whole_vector():
    maker = np.random.default_rng(7)
    before, now = maker.normal(size=(2, 384)) / np.sqrt(384)
    told = mean_drift(before[:32].tolist(), now[:32].tolist(), 384)
    assert told == pytest.approx(float(np.linalg.norm(before - now)), rel=0.3)
