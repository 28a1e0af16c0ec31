"""Two models side by side, from the first vector of the new one to the last of the old; no JVM."""

from __future__ import annotations

import pytest
import yaml

from orchestration.spaces import retire
from ragstone.contracts.names import embedding_view
from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.embedding.load import embedding_spec, in_space
from ragstone.features import materialize
from ragstone.features.audit import audit
from ragstone.features.redis_layout import scan_entities, time_field
from ragstone.features.store import open_store
from ragstone.runtime.errors import NotFoundError, UsageError
from ragstone.runtime.redis_server import online_client
from ragstone.runtime.settings import load_settings
from serving.index import build
from serving.index.follower import IndexFollower
from tests.factories import accept_rows, make_chunk_row, write_rows
from tests.fake_openai import fake_openai
from tests.serving.index.lake import BETWEEN, EAST, NORTH, embedding_row, embeddings_spec, put

OLD, NEW = "minilm_fp32", "narrow"
SPACES = {NEW: {"max_tokens": 250}}


def conf(home, **embedding):
    (home / "conf.yaml").write_text(yaml.safe_dump({"embedding": embedding}))


@pytest.fixture
def side_by_side(home):
    conf(home, spaces=SPACES)
    settings = load_settings(home=home)
    put(settings, NORTH, EAST, BETWEEN)
    new = in_space(settings, NEW)
    write_rows(settings.lake_root, embeddings_spec(new), [embedding_row(new, item) for item in (NORTH, EAST, BETWEEN)])
    accept_rows(settings.lake_root, embeddings_spec(new).name)
    return settings


def answered_from(settings):
    """Bring features and index up to date, and return the space a service with these settings answers from."""
    materialize.run(settings, "run-1")
    build.run(settings, "run-1")
    follower = IndexFollower(settings, embedding_spec(settings).encoder_hash)
    return follower.current().manifest.space


def spaces_of_services(settings):
    store = open_store(settings)
    return {
        projection.name
        for service in store.list_feature_services()
        for projection in service.feature_view_projections
        if projection.name.startswith(embedding_view(""))
    }


def test_the_new_space_is_compared_switched_to_by_one_setting_and_the_old_one_retired(command, home, side_by_side):
    assert answered_from(side_by_side) == OLD
    assert spaces_of_services(side_by_side) == {embedding_view(OLD)}

    told = command("--json", "spaces", "ls").document
    assert (told["set"], told["served"]) == (OLD, OLD)
    assert [(space["space"], space["chunks"], space["missing"]) for space in told["spaces"]] == [
        (OLD, 3, 0),
        (NEW, 3, 0),
    ]
    told = command("--json", "spaces", "compare", OLD, NEW).document
    assert (told["in_both"], told["k"], told["overlap"]) == (3, 2, 1.0)
    assert "nearest 2 in common" in command("spaces", "compare", OLD, NEW).out

    conf(home, spaces=SPACES, space=NEW)
    switched = load_settings(home=home)
    # Set, but an index of the old space is still what is published.
    refused = command("spaces", "retire", OLD)
    assert (refused.code, "the published index" in refused.err) == (2, True)
    assert answered_from(switched) == NEW
    assert spaces_of_services(switched) == {embedding_view(NEW)}

    told = command("--json", "spaces", "retire", OLD).document
    assert told["details"] == {"space": OLD, "table": True, "view": True, "online": 3, "resolved": 0}
    assert [space["space"] for space in command("--json", "spaces", "ls").document["spaces"]] == [NEW]
    with online_client(switched) as client:
        keys = [key for key, _ in scan_entities(client, switched.feast.project, "chunk_id")]
        assert len(keys) == 3
        assert not any(client.hexists(key, time_field(embedding_view(OLD))) for key in keys)
    assert all(view.agrees for view in audit(switched))
    assert answered_from(switched) == NEW


def test_a_space_in_use_and_one_that_never_was_are_not_retired(side_by_side):
    answered_from(side_by_side)

    with pytest.raises(UsageError) as refused:
        retire(side_by_side, OLD, "run-2")
    assert refused.value.where == "embedding.space"
    with pytest.raises(NotFoundError):
        retire(side_by_side, "never", "run-2")


def test_a_misspelt_space_is_neither_filled_nor_compared(command, side_by_side):
    for arguments in (["embed", "--space", "narow"], ["spaces", "compare", OLD, "narow"]):
        told = command(*arguments)
        assert told.code == 2
        assert "one of minilm_fp32, narrow" in told.err


def test_embedding_over_the_allowed_cost_sends_nothing_and_tells_the_estimate(command, home):
    with fake_openai() as api:
        bought = {"encoder": "openai", "model": "small", "url": api.url, "dim": 8, "price_per_million_tokens": 1000.0}
        conf(home, spaces={"bought": bought})
        write_rows(home / "lake", SILVER_CHUNKS, [make_chunk_row("x" * 2_997)])

        told = command("--json", "embed", "--space", "bought", "--max-cost", "0.9")

        assert (told.code, api.requests) == (2, [])
        assert told.document["error"]["got"] == "1.0000 for about 1,000 tokens of 1 texts"
