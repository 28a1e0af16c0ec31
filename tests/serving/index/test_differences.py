from __future__ import annotations

from dataclasses import replace

import pytest

from ragstone.contracts.tables import DOCUMENT_STATS, SILVER_CHUNKS
from ragstone.runtime.errors import NotFoundError
from ragstone.runtime.settings import Settings
from serving.index import build, golden, publish
from serving.index.differences import diff
from tests.factories import at, make_document_row, make_tombstone, write_rows
from tests.serving.index.lake import BETWEEN, EAST, NORTH, Item, end, put, unit
from tests.serving.index.test_gates import FakeEncoder, write_golden

MORE = Item("north.md", "It stands above the harbour.", unit(1, 0, 0.1))


def title(settings: Settings, item: Item, text: str) -> None:
    document = make_document_row(item.text, item.source_uri, title=text)
    kept = {name: document[name] for name in DOCUMENT_STATS.column_names if name in document}
    write_rows(settings.lake_root, DOCUMENT_STATS, [kept])


@pytest.fixture
def versions(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two versions: NORTH and EAST, then NORTH with more to it, and BETWEEN in place of EAST."""
    monkeypatch.setattr(golden, "load_embedder", lambda _settings: FakeEncoder())
    for item in (NORTH, EAST, BETWEEN):
        title(settings, item, f"Title of {item.source_uri}")
    write_golden(settings, ("1", NORTH), ("0 1", EAST))
    put(settings, NORTH, EAST)
    build.run(settings, "run-1")
    write_golden(settings, ("1", NORTH))
    put(settings, BETWEEN, MORE)
    end(settings, SILVER_CHUNKS, EAST.chunk_id, created_timestamp=at(9))
    build.run(settings, "run-2")
    newer, older = publish.version_names(settings.index_root)
    return older, newer


def test_a_difference_names_documents_and_chunks_with_their_titles(
    settings: Settings, versions: tuple[str, str]
) -> None:
    found = diff(settings, *versions)
    changes = {each.title: (each.change, each.chunks_added, each.chunks_removed) for each in found.documents}
    assert changes == {
        "Title of north.md": ("changed", 1, 0),
        "Title of east.md": ("removed", 0, 1),
        "Title of between.md": ("added", 1, 0),
    }
    assert {(each.chunk_id, each.title) for each in found.chunks_added} == {
        (BETWEEN.chunk_id, "Title of between.md"),
        (MORE.chunk_id, "Title of north.md"),
    }
    assert [(each.chunk_id, each.title) for each in found.chunks_removed] == [(EAST.chunk_id, "Title of east.md")]
    assert found.chunks_kept == 1


def test_a_document_that_has_ended_keeps_the_title_it_had(settings: Settings, versions: tuple[str, str]) -> None:
    write_rows(
        settings.lake_root, DOCUMENT_STATS, [make_tombstone(DOCUMENT_STATS, EAST.document_id, event_timestamp=at(10))]
    )
    assert "Title of east.md" in {each.title for each in diff(settings, *versions).documents}


def test_golden_questions_that_both_were_asked_are_compared(settings: Settings, versions: tuple[str, str]) -> None:
    found = diff(settings, *versions)
    assert found.golden_asked == 1
    [change] = found.golden
    assert (change.question_id, change.text) == ("q0", "1")
    assert change.best_before is not None
    assert change.best_before == change.best_after
    assert change.best_before.title == "Title of north.md"
    assert [each.chunk_id for each in change.entered] == [MORE.chunk_id, BETWEEN.chunk_id]
    assert [each.chunk_id for each in change.left] == [EAST.chunk_id]


def test_two_versions_that_hold_the_same_differ_in_nothing(settings: Settings, versions: tuple[str, str]) -> None:
    found = diff(settings, versions[1], versions[1])
    assert (found.documents, found.chunks_added, found.chunks_removed, found.golden) == ((), (), (), ())
    assert (found.chunks_kept, found.golden_asked) == (3, 1)


def test_a_better_chunk_is_told_as_another_best_one(settings: Settings, versions: tuple[str, str]) -> None:
    put(settings, replace(BETWEEN, text="Due north.", vector=unit(1)), replace(MORE, text="North again."))
    end(settings, SILVER_CHUNKS, NORTH.chunk_id, created_timestamp=at(9))
    build.run(settings, "run-3")
    newest = publish.version_names(settings.index_root)[0]
    [change] = diff(settings, versions[1], newest).golden
    assert change.best_before is not None
    assert change.best_after is not None
    assert (change.best_before.title, change.best_after.title) == ("Title of north.md", "Title of between.md")


def test_a_version_that_is_not_there_is_named(settings: Settings, versions: tuple[str, str]) -> None:
    with pytest.raises(NotFoundError):
        diff(settings, versions[0], "no version")
