import math
from datetime import UTC, datetime, timedelta

import pytest

from ragstone.lake.metric_history import Anomaly, anomalies, anomaly, points
from ragstone.lake.ops import append_quality_metrics

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def record(root, values, metric="Column.token_count.Mean", accepted=True, dataset="silver.chunks", day=0):
    rows = [
        {
            "run_id": f"run-{day + at}",
            "dataset": dataset,
            "metric": metric,
            "value": value,
            "accepted": accepted,
            "recorded_at": NOON + timedelta(days=day + at),
        }
        for at, value in enumerate(values)
    ]
    append_quality_metrics(root, rows)


def test_a_value_is_held_against_the_median_and_the_usual_distance_from_it():
    # Median 100; distances 10, 5, 0, 5, 10 have median 5; reach 5 * 1.4826 * 5 = 37.065.
    history = [90.0, 95.0, 100.0, 105.0, 110.0]
    assert anomaly(137.0, history) is None
    assert anomaly(63.0, history) is None
    found = anomaly(138.0, history)
    assert (found.median, found.runs) == (100.0, 5)
    assert (found.low, found.high) == pytest.approx((62.935, 137.065))
    assert str(found) == ("got 138, usual are 62.935 to 137.065: the median of the last 5 accepted runs is 100")
    assert anomaly(62.0, history) == Anomaly(62.0, 100.0, found.low, found.high, 5)


def test_a_metric_that_never_moves_may_move_by_a_twentieth():
    # Distances are all 0, so the reach is 5 % of 200.
    assert anomaly(210.0, [200.0] * 6) is None
    assert anomaly(189.9, [200.0] * 6) is not None
    assert anomaly(0.01, [0.0] * 6) is not None
    assert anomaly(0.0, [0.0] * 6) is None


def test_one_wild_run_in_the_history_widens_nothing():
    assert anomaly(137.0, [90.0, 95.0, 100.0, 105.0, 110.0, 9e9]) is None
    # Median 102.5; distances 12.5, 7.5, 2.5, 2.5, 7.5, 9e9 have median 7.5; reach 55.5975.
    assert anomaly(159.0, [90.0, 95.0, 100.0, 105.0, 110.0, 9e9]) is not None


def test_of_few_runs_and_of_no_number_nothing_is_said():
    assert anomaly(9e9, [1.0] * 4) is None
    assert anomaly(9e9, [1.0] * 4 + [math.nan]) is None
    assert anomaly(math.nan, [1.0] * 9) is None


def test_what_was_long_ago_does_not_count():
    assert anomaly(1.0, [1.0] * 30 + [100.0] * 20) is not None
    assert anomaly(100.0, [1.0] * 30 + [100.0] * 20) is None


def test_only_accepted_runs_of_the_dataset_are_history(home):
    record(home, [3.0] * 5)
    record(home, [50.0] * 9, accepted=False, day=5)
    record(home, [50.0] * 9, dataset="bronze.documents", day=5)
    assert set(anomalies(home, "silver.chunks", {"Column.token_count.Mean": 50.0, "other": 1.0})) == {
        "Column.token_count.Mean"
    }
    assert anomalies(home, "silver.chunks", {"Column.token_count.Mean": 3.1, "Column.x.Mean": None}) == {}


def test_runs_over_a_few_rows_are_no_history(home):
    record(home, [3.0] * 5)
    record(home, [50.0] * 9, day=5)
    record(home, [30.0] * 5 + [1.0] * 9, metric="Dataset.*.RowCount")
    assert set(anomalies(home, "silver.chunks", {"Column.token_count.Mean": 50.0})) == {"Column.token_count.Mean"}


def test_points_come_oldest_first_and_can_be_narrowed(home):
    record(home, [2.0], day=1)
    record(home, [1.0], accepted=False)
    record(home, [5.0], metric="other", day=2)
    assert [point.value for point in points(home)] == [1.0, 2.0, 5.0]
    assert [point.value for point in points(home, metric="other")] == [5.0]
    assert [point.value for point in points(home, "silver.chunks", accepted=True)] == [2.0, 5.0]
    assert points(home, "nothing") == []
