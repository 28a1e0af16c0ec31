import importlib.util

import pytest

from orchestration.pipeline import PIPELINE, step, steps_between
from orchestration.runner import target
from ragstone.contracts.names import STEPS
from ragstone.runtime.errors import UsageError


def test_the_steps_are_those_of_the_contract_in_order():
    assert tuple(known.name for known in PIPELINE) == STEPS


def test_every_step_comes_after_what_it_needs():
    seen: set[str] = set()
    for known in PIPELINE:
        assert set(known.needs) <= seen
        seen.add(known.name)


@pytest.mark.parametrize("known", PIPELINE, ids=lambda known: known.name)
def test_every_target_can_be_reached_by_its_name(known):
    assert importlib.util.find_spec(known.target.partition(":")[0]) is not None
    assert callable(target(known.target))


def test_a_stretch_has_both_its_ends():
    assert [known.name for known in steps_between("validate", "embed")] == ["validate", "preprocess", "embed"]
    assert steps_between() == PIPELINE


def test_a_stretch_that_runs_backwards_is_refused():
    with pytest.raises(UsageError, match="comes after"):
        steps_between("embed", "ingest")


def test_an_unknown_step_is_refused_with_those_that_are():
    with pytest.raises(UsageError) as refused:
        step("publish")
    assert "ingest, validate" in str(refused.value.wanted)
