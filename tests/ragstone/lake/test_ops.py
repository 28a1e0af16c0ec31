import pytest

from ragstone.contracts.records import StepResult
from ragstone.contracts.tables import RUNS
from ragstone.lake import read
from ragstone.lake.ops import accepted_batch, last_run, recorded_run
from ragstone.runtime.errors import QualityGateError


def result(status="ok", **facts):
    return StepResult("validate", status, "documents", accepted=3, unchanged=2, quarantined=1, **facts)


def test_a_run_is_recorded_with_what_it_did(settings):
    wanted = result(written=4, tables_written={"bronze.documents": 7}, watermark=5, details={"files": 6})
    assert recorded_run("validate", lambda *_: wanted, settings, "run-1") == wanted
    row = last_run(settings.lake_root, "validate")
    assert (row["run_id"], row["status"], row["rows_in"], row["written"], row["watermark"]) == ("run-1", "ok", 6, 4, 5)
    assert row["tables_written"] == {"bronze.documents": 7}
    assert row["details"] == {"files": 6}
    assert row["finished_at"] >= row["started_at"]
    assert row["error"] is None


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (QualityGateError("too few titles", failed_rules=("Completeness",), report="r.json"), "blocked"),
        (ValueError("no such thing"), "failed"),
    ],
)
def test_an_error_is_recorded_and_goes_on(settings, error, status):
    def step(*_):
        raise error

    with pytest.raises(type(error)) as raised:
        recorded_run("validate", step, settings, "run-1")
    assert raised.value is error
    row = last_run(settings.lake_root, "validate", status)
    assert row["error"] == str(error)
    assert last_run(settings.lake_root, "validate") is None


def test_an_error_is_not_hidden_by_a_lake_that_cannot_be_written(settings):
    settings.home.joinpath("lake").write_text("not a folder")

    def step(*_):
        raise ValueError("the first error")

    with pytest.raises(ValueError, match="the first error"):
        recorded_run("validate", step, settings, "run-1")


def test_the_accepted_batch_is_that_of_the_runs_that_passed(settings):
    assert accepted_batch(settings.lake_root) == 0
    recorded_run("validate", lambda *_: result(watermark=3), settings, "run-1")
    recorded_run("validate", lambda *_: result("unchanged", watermark=4), settings, "run-2")
    recorded_run("validate", lambda *_: result("blocked", watermark=9), settings, "run-3")
    assert accepted_batch(settings.lake_root) == 4
    assert read.query(settings.lake_root, "SELECT count(*) AS n FROM runs", runs=RUNS)["n"].to_pylist() == [3]


def test_a_run_leaves_its_metrics_for_a_collector(settings):
    def step(_settings, _run_id):
        return StepResult("ingest", "ok", "items", accepted=2)

    recorded_run("ingest", step, settings, "run-1")

    left = (settings.home / "logs" / "metrics.prom").read_text("utf-8")
    assert 'ragstone_pipeline_rows_total{outcome="accepted",step="ingest"}' in left
    assert 'pipeline_step_duration_seconds_count{step="ingest"}' in left
