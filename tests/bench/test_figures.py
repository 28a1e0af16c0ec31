"""Every figure measured at a fraction of its size, so that it still measures what it says when it is wanted."""

import importlib
import json

import pytest

from bench.__main__ import FIGURES
from bench.harness import Scale

SHRINK = {
    "embed_job": 100,
    "index_build_read": 200,
    "index_rollback": 20,
    "quantised_search": 50,
    "retrieval_stage": 100,
    "chat_http_share": 20,
    "training_set": 200,
    "materialize": 100,
    "online_read": 20,
    "unchanged_rerun": 100,
    "unchanged_seconds": 50,
    "edit_cost": 50,
    "edit_growth": 10,
    "purge_cost": 10,
}
# Reads alone, and a few seconds: it stands for all of them where time is short.
QUICK = "index_build_read"


@pytest.mark.parametrize(
    "figure", [pytest.param(name, marks=[] if name == QUICK else pytest.mark.full) for name in FIGURES]
)
def test_a_figure_is_measured_on_both_sides_with_equal_outputs(figure: str):
    measured = importlib.import_module(f"bench.figures.{figure}").measure(Scale(full=False, shrink=SHRINK[figure]))
    line = json.loads(measured.line(figure))
    assert line["rounds"] == 3
    assert min(*measured.ours, *measured.other) > 0
    assert line["met"] is measured.met
