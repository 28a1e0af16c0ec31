from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragstone.runtime.errors import IndexIncompatibleError, NotFoundError
from ragstone.runtime.settings import Settings
from serving.index import build, publish
from serving.index.files import DATA_FILES, MANIFEST_FILE
from serving.index.manifest import FORMAT
from serving.index.snapshot import open_current, open_snapshot
from tests.serving.index.lake import BETWEEN, EAST, NORTH, Item, put, unit


@pytest.fixture
def folder(settings: Settings) -> Path:
    put(settings, NORTH, EAST, BETWEEN)
    build.run(settings, "run-1")
    [version] = publish.version_names(settings.index_root)
    return settings.index_root / version


def test_nothing_published_is_not_found_with_the_command_that_helps(settings: Settings) -> None:
    with pytest.raises(NotFoundError) as missing:
        open_current(settings)
    assert missing.value.next_step == "ragstone run"


@pytest.mark.parametrize("name", DATA_FILES)
def test_a_changed_byte_in_any_file_is_refused_by_name(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(IndexIncompatibleError) as broken:
        open_snapshot(folder)
    assert broken.value.where == str(folder / name)
    assert str(broken.value.wanted).startswith("SHA-256 ")


def test_a_missing_file_is_refused_by_name(folder: Path) -> None:
    (folder / DATA_FILES[0]).unlink()
    with pytest.raises(IndexIncompatibleError) as broken:
        open_snapshot(folder)
    assert (broken.value.where, broken.value.got) == (str(folder / DATA_FILES[0]), "SHA-256 no such file")


def test_a_manifest_that_was_touched_is_refused_by_the_published_pointer(settings: Settings, folder: Path) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(path.read_text().replace('"run-1"', '"run-7"'))
    with pytest.raises(IndexIncompatibleError) as broken:
        open_current(settings)
    assert broken.value.where == str(path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": "x"}'])
def test_an_unreadable_manifest_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST_FILE).write_text(content)
    with pytest.raises(IndexIncompatibleError) as broken:
        open_snapshot(folder)
    assert broken.value.where == str(folder / MANIFEST_FILE)


def test_another_format_is_refused(folder: Path) -> None:
    path = folder / MANIFEST_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": FORMAT + 1}))
    with pytest.raises(IndexIncompatibleError) as broken:
        open_snapshot(folder)
    assert (broken.value.got, broken.value.wanted) == (f"format {FORMAT + 1}", f"format {FORMAT}")


def test_equal_scores_come_in_the_order_of_chunk_ids_and_no_more_than_there_are(settings: Settings) -> None:
    same = [Item(f"same-{number}.md", f"Text {number}.", unit(1)) for number in range(9)]
    put(settings, *same)
    build.run(settings, "run-1")
    hits = open_current(settings).search(unit(1), 50)
    assert [hit.chunk_id for hit in hits] == sorted(item.chunk_id for item in same)
    assert len(open_current(settings).search(unit(1), 4)) == 4


def test_vectors_are_shared_through_the_file_and_cannot_be_written(folder: Path) -> None:
    snapshot = open_snapshot(folder)
    assert str(folder / DATA_FILES[0]) in Path("/proc/self/maps").read_text()
    with pytest.raises(ValueError, match="read-only"):
        snapshot.matrix()[0, 0] = 1.0


def test_a_snapshot_outlives_its_files(settings: Settings, folder: Path) -> None:
    snapshot = open_snapshot(folder)
    for path in folder.iterdir():
        path.unlink()
    assert snapshot.search(unit(0, 1), 1)[0].chunk_id == EAST.chunk_id
