"""`ragstone replay` and `backtest` on a small home that lost everything but its lake."""

from __future__ import annotations

import json

import pytest

from ragstone.contracts.tables import RETRIEVALS
from ragstone.lake.read import query
from tests.serving.past import history
from tests.serving.world import world_settings


@pytest.fixture
def lost_home(home):
    settings = world_settings(home)
    (home / "conf.yaml").write_text(json.dumps({"abstain": settings.abstain.model_dump(mode="json")}))
    history.write_notes(settings, range(6))
    history.bring_up(settings, "run-1")
    history.ask_all(settings, history.questions(3, seed=1))
    history.lose_everything_but_rows(settings)
    return settings


def test_replay_tells_of_every_question_and_fails_when_one_differs_without_a_reason(command, lost_home):
    told = command("--json", "replay", "--from", "2026-01-01T00:00:00Z")

    assert told.code == 0
    assert told.document == {"questions": 3, "identical": 3, "explained": 0, "unexplained": 0, "differing": []}
    assert "3 questions replayed" in command("replay").out

    [first, *_] = query(lost_home.lake_root, "SELECT answer_id, hits FROM t", t=RETRIEVALS).to_pylist()
    hits = [{**hit, "score": hit["score"] - 0.01} for hit in json.loads(first["hits"])]
    history.rewrite(lost_home, RETRIEVALS, first["answer_id"], hits=json.dumps(hits))
    told = command("replay")
    assert (told.code, first["answer_id"] in told.out) == (1, True)

    history.rewrite(lost_home, RETRIEVALS, first["answer_id"], served_state=None)
    told = command("--json", "replay")
    assert (told.code, told.document["explained"]) == (0, 1)
    assert told.document["differing"][0]["differences"][0]["reason"] == "not recorded"
    assert command("--json", "replay", "--to", "2026-01-01T00:00:00Z").document["questions"] == 0


def test_backtest_shows_what_would_change_and_refuses_what_cannot_be_compared(command, lost_home):
    told = command("--json", "backtest", "-k", 1).document

    assert (told["summary"]["questions"], told["summary"]["hits_changed"], told["summary"]["recall"]) == (3, 3, None)
    shown = command("backtest", "-k", 1).out
    assert "answers that change" in shown
    assert "median ms" in shown
    assert command("backtest").code == 2
    assert command("backtest", "-k", 1, "--to", "2026-01-01T00:00:00Z").code == 2
    assert command("replay", "--from", "2026-01-01").code == 2
