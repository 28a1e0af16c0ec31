from __future__ import annotations

import shutil

import pytest

from ragstone.contracts.tables import SILVER_CHUNKS
from ragstone.runtime.errors import IndexGateError, IndexIncompatibleError, NotFoundError, UsageError
from ragstone.runtime.settings import Settings
from serving.index import build, publish
from serving.index.files import CURRENT_FILE, MANIFEST_FILE
from serving.index.snapshot import open_current
from tests.factories import at
from tests.serving.index.lake import BETWEEN, EAST, NORTH, embeddings_spec, end, put


@pytest.fixture
def versions(settings: Settings) -> tuple[str, str]:
    """Two versions, the newer served: NORTH and EAST, then BETWEEN in place of EAST."""
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    put(settings, BETWEEN)
    end(settings, SILVER_CHUNKS, EAST.chunk_id, created_timestamp=at(9))
    build.run(settings, "run-2")
    newer, older = publish.version_names(settings.index_root)
    return older, newer


def served(settings: Settings) -> str:
    return open_current(settings).manifest.version


def test_versions_are_listed_newest_first_with_the_served_one_marked(
    settings: Settings, versions: tuple[str, str]
) -> None:
    older, newer = versions
    listed = [(each.manifest.version, each.current) for each in publish.list_versions(settings)]
    assert listed == [(newer, True), (older, False)]


def test_a_rollback_serves_the_version_before_and_holds_until_something_changes(
    settings: Settings, versions: tuple[str, str]
) -> None:
    older, _ = versions
    assert publish.rollback(settings).version == older
    assert served(settings) == older
    assert build.run(settings, "run-3").status == "unchanged"
    assert served(settings) == older
    put(settings, EAST, created_timestamp=at(99))
    build.run(settings, "run-4")
    assert open_current(settings).manifest.count == 3


def test_the_version_that_was_left_can_be_published_by_hand(settings: Settings, versions: tuple[str, str]) -> None:
    _, newer = versions
    publish.rollback(settings)
    publish.publish(settings, newer)
    assert served(settings) == newer


def test_there_is_nothing_older_than_the_oldest(settings: Settings, versions: tuple[str, str]) -> None:
    publish.rollback(settings)
    with pytest.raises(UsageError) as refused:
        publish.rollback(settings)
    assert refused.value.next_step == "ragstone index list"
    assert served(settings) == versions[0]


def test_only_a_version_that_passes_its_gates_is_published(settings: Settings, versions: tuple[str, str]) -> None:
    older, newer = versions
    end(settings, embeddings_spec(settings), NORTH.chunk_id, created_timestamp=at(9))
    with pytest.raises(IndexGateError):
        publish.publish(settings, older)
    assert served(settings) == newer


def test_a_rollback_does_not_wait_for_the_lake(settings: Settings, versions: tuple[str, str]) -> None:
    shutil.rmtree(settings.lake_root)
    assert publish.rollback(settings).version == versions[0]
    assert served(settings) == versions[0]


def test_a_rollback_leaves_a_served_version_whose_own_manifest_is_broken(
    settings: Settings, versions: tuple[str, str]
) -> None:
    older, newer = versions
    (settings.index_root / newer / MANIFEST_FILE).write_text("{")
    assert publish.rollback(settings).version == older


def test_a_version_that_is_half_removed_is_none(
    settings: Settings, versions: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = versions

    def killed(_folder: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            publish.remove(settings.index_root, older)
    assert publish.version_names(settings.index_root) == [newer]


def test_an_unknown_version_is_not_found(settings: Settings, versions: tuple[str, str]) -> None:
    with pytest.raises(NotFoundError) as missing:
        publish.publish(settings, "../elsewhere")
    assert versions[0] in str(missing.value.wanted)


def test_a_pointer_that_cannot_be_read_is_named_and_mended_by_the_next_run(
    settings: Settings, versions: tuple[str, str]
) -> None:
    (settings.index_root / CURRENT_FILE).write_text("{")
    with pytest.raises(IndexIncompatibleError) as broken:
        open_current(settings)
    assert broken.value.where == str(settings.index_root / CURRENT_FILE)
    build.run(settings, "run-3")
    assert served(settings) == versions[1]
