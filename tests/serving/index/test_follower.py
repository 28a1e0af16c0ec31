from __future__ import annotations

import math
import threading

import pytest

from ragstone.embedding.load import embedding_spec
from ragstone.runtime.errors import IndexIncompatibleError, NotFoundError, RetrievalUnavailableError
from ragstone.runtime.metrics import REGISTRY
from ragstone.runtime.settings import Settings
from serving.index import build, follower, publish
from serving.index.files import DATA_FILES
from serving.index.follower import IndexFollower
from serving.index.pointer import withdraw_pointer
from serving.index.purge import renew_pointer
from tests.serving.index.lake import EAST, NORTH, put, unit


@pytest.fixture
def following(settings: Settings) -> IndexFollower:
    put(settings, NORTH)
    build.run(settings, "run-1")
    return IndexFollower(settings, embedding_spec(settings).encoder_hash)


def publish_another(settings: Settings) -> str:
    put(settings, EAST)
    return str(build.run(settings, "run-2").details["version"])


def test_a_newly_published_snapshot_is_taken_up_and_the_old_one_stays_usable(
    settings: Settings, following: IndexFollower
) -> None:
    old = following.current()
    assert following.refresh() is False
    version = publish_another(settings)
    assert following.refresh() is True
    assert following.current().manifest.version == version
    assert [hit.chunk_id for hit in old.search(unit(0, 1), 5)] == [NORTH.chunk_id]
    served = {version: 1.0, old.manifest.version: 0.0}
    assert {name: REGISTRY.get_sample_value("ragstone_index_info", {"version": name}) for name in served} == served


def test_whoever_remembers_passages_is_told_of_each_change_and_of_a_renewed_pointer(settings: Settings) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    told: list[str] = []
    watching = IndexFollower(settings, embedding_spec(settings).encoder_hash, on_change=lambda: told.append("change"))
    assert watching.refresh() is False
    publish_another(settings)
    watching.refresh()
    assert told == ["change"]
    version = watching.current().manifest.version
    assert renew_pointer(settings)
    assert watching.refresh() is True
    assert (told, watching.current().manifest.version) == (["change", "change"], version)


def test_an_index_that_is_withdrawn_is_not_searched_any_more_and_the_next_one_is_taken_up(settings: Settings) -> None:
    put(settings, NORTH)
    build.run(settings, "run-1")
    told: list[str] = []
    watching = IndexFollower(settings, embedding_spec(settings).encoder_hash, on_change=lambda: told.append("change"))
    version = watching.current().manifest.version
    withdraw_pointer(settings.index_root)
    assert watching.refresh() is True
    assert watching.refresh() is False
    with pytest.raises(RetrievalUnavailableError) as refused:
        watching.current()
    assert refused.value.next_step == "add a document, then ragstone run"
    assert told == ["change"]
    assert REGISTRY.get_sample_value("ragstone_index_info", {"version": version}) == 0.0
    assert math.isnan(REGISTRY.get_sample_value("ragstone_index_age_seconds") or 0.0)
    version = publish_another(settings)
    assert watching.refresh() is True
    assert watching.current().manifest.version == version


def test_a_broken_snapshot_is_left_aside_until_a_sound_one_is_published(
    settings: Settings, following: IndexFollower
) -> None:
    good = following.current()
    version = publish_another(settings)
    vectors = settings.index_root / version / DATA_FILES[0]
    whole = vectors.read_bytes()
    vectors.write_bytes(whole[:-4])
    refused = alarms()["ragstone_index_refused_total"]
    assert following.refresh() is False
    assert following.current() is good
    assert str(vectors) in (following.left_aside() or "")
    assert alarms() == {"ragstone_index_refused_total": refused + 1, "ragstone_index_left_aside": 1.0}
    vectors.write_bytes(whole)
    publish.publish(settings, version)
    assert following.refresh() is True
    assert following.left_aside() is None
    assert alarms()["ragstone_index_left_aside"] == 0.0


def alarms() -> dict[str, float]:
    labels = {"ragstone_index_refused_total": {"by": "reader"}, "ragstone_index_left_aside": {}}
    return {name: REGISTRY.get_sample_value(name, label) or 0.0 for name, label in labels.items()}


def test_the_thread_outlives_a_failure_that_nobody_foresaw(
    settings: Settings, following: IndexFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = following.current()

    def no_more_files(_settings: Settings) -> None:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(follower, "open_current", no_more_files)
        version = publish_another(settings)
        assert following.refresh() is False
    assert following.current() is good
    assert following.left_aside() == "OSError: [Errno 24] Too many open files"
    publish.publish(settings, version)
    assert following.refresh() is True


def test_an_index_of_another_encoder_is_refused_at_the_start_and_left_aside_later(
    settings: Settings, following: IndexFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IndexIncompatibleError) as refused:
        IndexFollower(settings, "another encoder")
    assert refused.value.wanted == "encoder another encoder"
    good = following.current()
    monkeypatch.setattr(following, "_encoder_hash", "another encoder")
    publish_another(settings)
    assert following.refresh() is False
    assert following.current() is good


def test_without_a_published_index_there_is_nothing_to_follow(settings: Settings) -> None:
    with pytest.raises(NotFoundError):
        IndexFollower(settings, "any")


def test_the_thread_takes_up_what_is_published_and_ends_when_closed(
    settings: Settings, following: IndexFollower, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "POLL_S", 0.001)
    taken_up = threading.Event()
    load = following._load

    def told() -> object:
        snapshot = load()
        taken_up.set()
        return snapshot

    monkeypatch.setattr(following, "_load", told)
    before = set(threading.enumerate())
    following.start()
    publish_another(settings)
    assert taken_up.wait(30)
    following.close()
    assert following.current().manifest.count == 2
    assert "index-follower" not in {thread.name for thread in set(threading.enumerate()) - before}
