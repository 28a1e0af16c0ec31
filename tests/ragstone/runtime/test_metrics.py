from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ragstone.runtime import metrics

REPOSITORY = Path(__file__).resolve().parents[3]
SHARED_NAMES = {"pipeline_step_duration_seconds", "retriever_topk_hits", "api_response_time_seconds"}
PARTS = ("ragstone", "spark_jobs", "serving", "orchestration", "feature_repo")


def declared() -> list[str]:
    return [family.name for family in metrics.REGISTRY.collect() if not family.name.startswith("process_")]


def test_the_shared_names_are_as_agreed_and_all_others_carry_the_prefix():
    assert {name for name in declared() if not name.startswith("ragstone_")} == SHARED_NAMES


def test_names_are_in_base_units():
    assert [name for name in declared() if re.search(r"_(ms|millis|milliseconds|minutes|kb|mb)$", name)] == []


def test_every_metric_has_help_and_the_exposition_can_be_read_back():
    metrics.PIPELINE_STEP_DURATION_SECONDS.labels(step="a step of this test").observe(3)

    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}

    assert all(families[name].documentation for name in declared())
    samples = families["pipeline_step_duration_seconds"].samples
    sums = {sample.labels["step"]: sample.value for sample in samples if sample.name.endswith("_sum")}
    assert sums["a step of this test"] == 3


def test_metrics_of_a_batch_process_are_left_in_a_file(tmp_path: Path):
    metrics.PIPELINE_ROWS.labels(step="embed", outcome="accepted").inc(5)

    metrics.write_batch_metrics(tmp_path / "new" / "ragstone.prom")

    assert 'ragstone_pipeline_rows_total{outcome="accepted",step="embed"}' in (
        tmp_path / "new" / "ragstone.prom"
    ).read_text("utf-8")


@pytest.mark.parametrize("part", PARTS)
def test_metrics_are_declared_in_one_module(part: str):
    importing = [
        str(path.relative_to(REPOSITORY))
        for path in sorted((REPOSITORY / part).rglob("*.py"))
        if "prometheus_client" in path.read_text("utf-8")
    ]

    assert importing == (["ragstone/runtime/metrics.py"] if part == "ragstone" else [])
