"""The ten promises, each checked on the system as it is, and again with its mechanism taken out.

The second run must end in BrokenPromiseError: the check's own words, not an error of the code that was patched.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from ragstone.contracts.tables import DOCUMENT_STATS
from ragstone.features.store import feast_environment
from spark_jobs import document_batch
from spark_jobs import lake as spark_lake
from tests.promises import checks_of_answers, checks_of_data, checks_of_runs, mechanisms
from tests.promises.checks_of_runs import Killed
from tests.promises.company import Company
from tests.promises.keeping import BrokenPromiseError

pytestmark = pytest.mark.spark

Check = Callable[[Company], None]


@dataclass(frozen=True)
class Promise:
    """A check, and the mechanisms without which it must fail."""

    name: str
    check: Check
    without: tuple[Callable[[pytest.MonkeyPatch], None], ...]
    marks: tuple[pytest.MarkDecorator, ...] = ()


def killed_at_append(number: int, patch: pytest.MonkeyPatch) -> None:
    """End the run just after append number `number`, from 1, of texts, chunks or vectors, by Spark or without it."""
    seen = []

    def then_end(append, spec_at):
        def append_then_end(*arguments, **named):
            version = append(*arguments, **named)
            if arguments[spec_at] is not DOCUMENT_STATS:
                seen.append(version)
            if len(seen) == number:
                raise Killed
            return version

        return append_then_end

    patch.setattr(spark_lake, "append", then_end(spark_lake.append, 2))
    patch.setattr(document_batch, "append_rows", then_end(document_batch.append_rows, 1))


def killed_at_publish(patch: pytest.MonkeyPatch) -> None:
    """End the run when the index is built and not yet published."""
    from serving.index import publish

    def end(*_arguments, **_named):
        raise Killed

    patch.setattr(publish, "point_to", end)


def feast_materialize(company: Company) -> None:
    """Run Feast's own command over all of time."""
    command = [
        str(Path(sys.executable).with_name("feast")),
        "materialize",
        "2000-01-01T00:00:00",
        "2100-01-01T00:00:00",
    ]
    subprocess.run(
        command,
        cwd=company.settings.feast.repo,
        env=feast_environment(company.settings),
        capture_output=True,
        check=True,
    )


def materialize_anew(company: Company) -> None:
    from ragstone.features.materialize import rematerialize

    rematerialize(company.settings, "run-between")


PROMISES = (
    Promise(
        "1-rerun-writes-nothing",
        checks_of_runs.check_rerun,
        (
            mechanisms.compare_nothing_with_the_served_index,
            mechanisms.forget_what_was_materialized,
            mechanisms.take_every_item_for_changed,
        ),
    ),
    Promise("2-counts", checks_of_runs.check_counts, (mechanisms.lose_rejected_items,)),
    Promise(
        "3-kill-in-preprocess",
        partial(checks_of_runs.check_kill, kill=partial(killed_at_append, 1)),
        (mechanisms.forget_known_chunks,),
        (pytest.mark.full,),
    ),
    Promise(
        "3-kill-before-publish",
        partial(checks_of_runs.check_kill, kill=killed_at_publish),
        (mechanisms.publish_while_building,),
    ),
    Promise(
        "4-index-gate",
        checks_of_answers.check_index_gate,
        (mechanisms.publish_before_verifying, mechanisms.trust_checksums),
    ),
    Promise("5-online-gate", checks_of_answers.check_gate, (mechanisms.open_the_gate,)),
    Promise(
        "6-one-encoder",
        checks_of_answers.check_one_encoder,
        (mechanisms.encode_questions_otherwise, mechanisms.name_another_encoder_in_health),
    ),
    Promise("7-no-leak", checks_of_data.check_training_set, (mechanisms.see_the_future,)),
    Promise(
        "8-delete-at-once",
        partial(checks_of_answers.check_delete, meanwhile=lambda _company: None),
        (mechanisms.delete_in_the_lake_alone,),
    ),
    Promise(
        "8-delete-outlives-materialize",
        partial(checks_of_answers.check_delete, meanwhile=materialize_anew),
        (mechanisms.delete_online_alone,),
    ),
    Promise(
        "8-delete-outlives-feast-materialize",
        partial(checks_of_answers.check_delete, meanwhile=feast_materialize),
        (mechanisms.delete_online_alone,),
    ),
    Promise(
        "8-delete-outlives-ingest",
        partial(checks_of_answers.check_delete, meanwhile=Company.run),
        (mechanisms.take_deleted_items_in_again,),
    ),
    Promise("9-bad-input", checks_of_runs.check_bad_input, (mechanisms.stop_at_bad_input,)),
    Promise("10-nothing-leaves", checks_of_data.check_nothing_leaves, (mechanisms.phone_home,)),
)


@pytest.mark.parametrize(
    "promise", [pytest.param(promise, id=promise.name, marks=promise.marks) for promise in PROMISES]
)
def test_it_is_kept(company: Company, promise: Promise):
    promise.check(company)


@pytest.mark.parametrize(
    ("promise", "mechanism"),
    [
        pytest.param(promise, mechanism, id=f"{promise.name}-{mechanism.__name__}", marks=promise.marks)
        for promise in PROMISES
        for mechanism in promise.without
    ],
)
def test_its_check_fails_without_what_keeps_it(company: Company, promise: Promise, mechanism, monkeypatch):
    mechanism(monkeypatch)
    with pytest.raises(BrokenPromiseError):
        promise.check(company)
