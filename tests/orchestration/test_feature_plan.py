from __future__ import annotations

import io

import pytest

from ragstone.features.apply import diff
from tests.ragstone.features.shop import declare, open_shop


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def shop(settings, tmp_path):
    return open_shop(settings, tmp_path / "repo")


@pytest.fixture
def at_shop(command, shop, monkeypatch):
    monkeypatch.setenv("RAGSTONE_FEAST_REPO", str(shop.feast.repo))
    return command


def test_the_plan_is_shown_before_it_is_applied_and_a_pipeline_is_not_asked(at_shop, shop):
    declare(shop, ("ttl=timedelta(0)", "ttl=timedelta(days=1)"))

    shown, applied = at_shop("features", "diff"), at_shop("features", "apply")

    assert "~ FeatureView items is changed\n    ttl: 0s -> 86400s\n" in shown.out
    assert (applied.code, applied.out) == (0, shown.out)
    assert diff(shop) == []


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 1), ("y\n", 0, 0)])
def test_on_a_terminal_it_is_asked_first(at_shop, shop, monkeypatch, answer, code, left):
    declare(shop, ("ttl=timedelta(0)", "ttl=timedelta(days=1)"))
    monkeypatch.setattr("sys.stdin", _Terminal(answer))

    told = at_shop("features", "apply")

    assert (told.code, len(diff(shop))) == (code, left)
    assert told.out.index("is changed") < told.out.index("Apply this?")


def test_yes_answers_beforehand(at_shop, shop, monkeypatch):
    declare(shop, ("ttl=timedelta(0)", "ttl=timedelta(days=1)"))
    monkeypatch.setattr("sys.stdin", _Terminal())

    assert at_shop("features", "apply", "--yes").code == 0
    assert diff(shop) == []


def test_a_refusal_shows_the_plan_and_asks_nothing(at_shop, shop, monkeypatch):
    declare(shop, ("dtype=Int32", "dtype=Int64"))
    monkeypatch.setattr("sys.stdin", _Terminal("y\n"))

    told = at_shop("features", "apply")

    assert told.code == 1
    assert "breaks its readers: size would be Int64" in told.out
    assert "refused: no newer version of it is declared" in told.out
    assert "breaks the registered service shop_v1" in told.err
    assert "Apply this?" not in told.out
