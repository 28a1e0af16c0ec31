import sys

import pytest

from orchestration import runner
from orchestration.pipeline import Step
from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import RUNS
from ragstone.lake.read import query
from ragstone.runtime.errors import BadInputError

CALLS: list[str] = []


def first(settings, run_id):
    CALLS.append("first")
    return StepResult("first", "ok", "items", accepted=2, unchanged=1, written=2)


def second(settings, run_id):
    CALLS.append("second")
    raise BadInputError("broken")


def third(settings, run_id):
    CALLS.append("third")
    return StepResult("third", "ok", "items")


STEPS = tuple(Step(name, f"{__name__}:{name}", (), False, "") for name in ("first", "second", "third"))


@pytest.fixture(autouse=True)
def _no_calls():
    CALLS.clear()


def test_outcomes_come_as_the_steps_end(settings):
    outcomes = runner.run_steps(settings, "run-1", STEPS)

    outcome = next(outcomes)

    assert CALLS == ["first"]
    assert (outcome.result.rows_in, outcome.result.written) == (3, 2)
    assert outcome.seconds > 0
    outcomes.close()


def test_an_error_ends_the_run_and_is_recorded(settings):
    with pytest.raises(BadInputError):
        list(runner.run_steps(settings, "run-1", STEPS))

    rows = query(settings.lake_root, "SELECT step, status, run_id FROM runs ORDER BY started_at", runs=RUNS).to_pylist()
    assert CALLS == ["first", "second"]
    assert [(row["step"], row["status"]) for row in rows] == [("first", "ok"), ("second", "failed")]
    assert {row["run_id"] for row in rows} == {"run-1"}


@pytest.mark.parametrize(("open_before", "closed"), [(False, [True]), (True, [])])
def test_only_a_session_that_the_run_opened_is_closed_even_after_an_error(settings, monkeypatch, open_before, closed):
    closings: list[bool] = []

    class Session:
        @staticmethod
        def session_is_open() -> bool:
            return open_before or bool(CALLS)

        @staticmethod
        def close_session() -> None:
            closings.append(True)

    monkeypatch.setitem(sys.modules, "spark_jobs.session", Session)

    with pytest.raises(BadInputError):
        list(runner.run_steps(settings, "run-1", STEPS))

    assert closings == closed


def test_run_ids_sort_by_time():
    assert runner.started_run_id()[:8].isdigit()
    assert runner.started_run_id() != runner.started_run_id()
