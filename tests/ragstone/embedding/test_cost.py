from __future__ import annotations

import pytest

from ragstone.embedding.cost import check_cost, estimate, estimated_tokens
from ragstone.runtime.errors import UsageError
from ragstone.runtime.settings import load_settings


def settings(home, **embedding):
    return load_settings(home=home, embedding={"encoder": "openai", **embedding})


def test_more_than_is_allowed_is_refused_with_the_estimate(home):
    expected = estimate(settings(home, price_per_million_tokens=2.0), texts=1_000, size_bytes=2_997_000)

    assert (expected.tokens, expected.cost) == (1_000_000, 2.0)
    check_cost(expected, 2.0)
    check_cost(expected, None)
    with pytest.raises(UsageError) as refused:
        check_cost(expected, 1.99)
    assert refused.value.got == "2.0000 for about 1,000,000 tokens of 1,000 texts"


def test_a_limit_without_a_price_refuses_and_nothing_to_send_costs_nothing(home):
    with pytest.raises(UsageError, match="nothing was sent"):
        check_cost(estimate(settings(home), texts=1, size_bytes=3), 100.0)

    check_cost(estimate(settings(home), texts=0, size_bytes=0), 0.0)


def test_prefixes_are_paid_for(home):
    plain, prefixed = settings(home), settings(home, passage_prefix="x" * 30)

    assert estimate(prefixed, 10, 0).tokens - estimate(plain, 10, 0).tokens == 100


def test_tokens_are_estimated_rather_too_many_than_too_few():
    assert estimated_tokens("") == 1
    assert estimated_tokens("word " * 60) > 60
    assert estimated_tokens("語" * 60) > 60
