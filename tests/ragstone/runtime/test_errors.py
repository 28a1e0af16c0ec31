import pickle

import pytest

from ragstone.runtime import errors
from ragstone.runtime.errors import (
    ConfigError,
    DependencyUnavailableError,
    IndexGateError,
    QualityGateError,
    RagstoneError,
    RetrievalUnavailableError,
)


def test_the_message_gives_every_fact_on_its_own_line():
    error = RagstoneError("it broke", where="here", got=1, wanted=2, next_step="run that")
    assert str(error) == "it broke\n  where: here\n  got: 1\n  wanted: 2\n  next: run that"


def test_facts_that_were_not_given_are_left_out():
    assert RagstoneError("it broke", got=0).facts() == {"got": "0"}


def test_errors_survive_pickling_with_their_facts():
    error = QualityGateError("no", failed_rules=("RowCount > 0",), report="r.json", where="silver.chunks")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is QualityGateError
    assert (copy.failed_rules, copy.report, copy.where, str(copy)) == (
        ("RowCount > 0",),
        "r.json",
        "silver.chunks",
        str(error),
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (QualityGateError("x", failed_rules=(), report=""), 3),
        (IndexGateError("x", failed_checks=()), 3),
        (RetrievalUnavailableError("x"), 4),
        (DependencyUnavailableError("x"), 4),
        (RagstoneError("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_exit_codes(error, code):
    assert errors.exit_code(error) == code
