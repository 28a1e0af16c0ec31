import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.__main__ import FIGURES, main
from bench.chat_servers import Meter
from bench.harness import Measurement, OutputsDifferError, Scale, check_equal, interleave, percentile


def measurement(**changes) -> Measurement:
    facts = {"ours": (1.0, 2.0, 9.0), "other": (2.0, 2.0, 3.0), "unit": "s", "goal": 1.0, "better": "lower", "note": ""}
    return Measurement(**{**facts, **changes})


def test_the_ratio_is_the_median_of_the_rounds_ratios():
    # Rounds of 0.5, 1 and 3; the medians of the sides, 1 and 2, come from rounds that never met.
    assert measurement(ours=(1.0, 1.0, 9.0), other=(2.0, 1.0, 3.0)).ratio == 1.0
    assert measurement(ours=(1.0, 4.0, 9.0), other=(2.0, 2.0, 1.0)).ratio == 2.0


def test_a_goal_bounds_from_the_side_that_is_worse():
    assert measurement(better="lower", goal=1.0).met
    assert not measurement(better="lower", goal=0.99).met
    assert measurement(better="higher", goal=1.0).met
    assert not measurement(better="higher", goal=1.01).met


def test_a_line_says_what_was_measured_and_whether_it_is_enough():
    line = json.loads(measurement(note="three rounds").line("embed_job"))
    assert line == {
        "figure": "embed_job",
        "ours": 2.0,
        "other": 2.0,
        "ratio": 1.0,
        "goal": "<= 1.0",
        "met": True,
        "rounds": 3,
        "note": "s; three rounds",
    }


def test_sides_take_turns_and_each_goes_first_every_other_time():
    order: list[str] = []

    def side(name: str, value: float):
        return lambda: order.append(name) or value

    rounds = interleave(side("ours", 1.0), side("other", 2.0), calls=2)
    assert "".join(name[1] for name in order) == "uttutuututtu"
    assert rounds.each() == ((1.0, 1.0, 1.0), (2.0, 2.0, 2.0))


def test_a_percentile_is_a_value_that_was_seen():
    values = [float(value) for value in range(1, 201)]
    assert percentile(values, 99) == 198.0
    assert percentile([5.0], 99) == 5.0


def test_sizes_shrink_but_never_to_nothing():
    assert Scale(full=False).pick(small=100, full=1_000) == 100
    assert Scale(full=True, shrink=10).pick(small=100, full=1_000) == 100
    assert Scale(full=False, shrink=1_000).pick(small=100, full=1_000) == 1


def test_sides_that_disagree_give_no_figure():
    check_equal(True, "rows")
    with pytest.raises(OutputsDifferError, match="the same rows"):
        check_equal(False, "rows")


def test_a_full_run_measures_nothing_that_was_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    results = tmp_path / "full.jsonl"
    results.write_text("".join(measurement().line(name) + "\n" for name in FIGURES))
    assert main(["--full"], results) == 0
    assert capsys.readouterr().out == ""
    assert len(results.read_text().splitlines()) == len(FIGURES)


def test_a_stage_within_another_counts_for_itself_alone():
    class Work:
        def outer(self) -> int:
            return self.inner()

        def inner(self) -> int:
            return sum(range(1_000_000))

    work, meter = Work(), Meter()
    meter.watch(work, "inner", "inner")
    meter.watch(work, "outer", "outer")
    assert work.outer() == sum(range(1_000_000))
    assert meter.stages_s["inner"] > meter.stages_s["outer"]


BURN = "import time\nwhile time.process_time() < 0.5: pass"


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param("", id="after its parent"),
        pytest.param("; signal.signal(signal.SIGCHLD, signal.SIG_IGN); child.wait()", id="waited for by nobody"),
    ],
)
def test_every_process_of_a_tree_is_counted(ending: str):
    leave = f"import signal, subprocess, sys; child = subprocess.Popen([sys.executable, '-c', {BURN!r}]){ending}"
    # In a process of its own, for it adopts whatever its children leave behind.
    command = [sys.executable, "-m", "bench.process_tree", sys.executable, "-c", leave]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert float(done.stdout) >= 0.4
