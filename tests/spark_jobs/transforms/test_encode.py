from __future__ import annotations

import pytest

from spark_jobs.transforms.encode import task_count


@pytest.mark.parametrize(
    ("texts", "cores", "tasks"),
    [(1, 4, 1), (3, 4, 3), (1_000, 4, 4), (1_025, 4, 8), (20_000, 2, 80), (513, 2, 4)],
)
def test_texts_are_encoded_in_whole_rounds_of_all_cores(texts, cores, tasks):
    assert task_count(texts, cores) == tasks
